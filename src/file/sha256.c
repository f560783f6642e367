/* sha256.c - SHA-256 through nettle; see sha256.h. The only file that includes nettle. */
#include "file/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void finish(char text[OMMA_SHA256_TEXT], struct sha256_ctx *ctx) {
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_digest(ctx, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        text[2 * i] = hex[digest[i] >> 4];
        text[2 * i + 1] = hex[digest[i] & 15];
    }
    text[2 * sizeof digest] = 0;
}

void omma_sha256_bytes(char text[OMMA_SHA256_TEXT], const void *data, size_t n) {
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    if (n) sha256_update(&ctx, n, data);
    finish(text, &ctx);
}

omma_status omma_sha256_stream(char text[OMMA_SHA256_TEXT], size_t *size, int fd, const char *name,
                               omma_error *err) {
    unsigned char buf[65536];
    size_t total = 0;
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return omma_fail_at(err, OMMA_E_IO, name, (int64_t)total, "cannot read on: %s",
                                strerror(errno));
        if (!n) break;
        sha256_update(&ctx, (size_t)n, buf);
        total += (size_t)n;
    }
    finish(text, &ctx);
    if (size) *size = total;
    return OMMA_OK;
}

omma_status omma_sha256_file(char text[OMMA_SHA256_TEXT], size_t *size, const char *path,
                             omma_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0) return omma_fail_at(err, OMMA_E_IO, path, -1, "cannot open: %s", strerror(errno));
    struct stat st;
    omma_status status;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        status = omma_fail_at(err, OMMA_E_IO, path, -1, "is not a regular file");
    else status = omma_sha256_stream(text, size, fd, path, err);
    close(fd);
    return status;
}
