/* report_write.h - what the files that write a report share; for them only. A part is a JSON object
 * in the list `parts` and blocks of bytes in elements of their own. Blocks are made first, in
 * memory, and when it is known that they fit, the part is begun and each is written where its
 * reference stands in the JSON:
 *
 *     block made -> does it fit? -> part begun -> reference in the JSON, bytes into the file */
#ifndef OMMA_VIEW_REPORT_WRITE_H
#define OMMA_VIEW_REPORT_WRITE_H

#include "file/json.h"
#include "view/report.h"

/* Kinds of parts that others refer to by number. */
typedef enum omma_report_kind {
    OMMA_PART_LAYER,
    OMMA_PART_TOKENS,
    OMMA_PART_HEAT,
    OMMA_PART_ATTENTION,
    OMMA_PART_SAMPLES,
    OMMA_PART_BLOCKS,
    OMMA_PART_LEDGER,
    OMMA_PART_QUERY,
    OMMA_PART_ANSWER,
    OMMA_PARTS
} omma_report_kind;

struct omma_report {
    FILE *file;
    bool plain;             /* JSON alone */
    size_t written, limit;  /* [bytes] */
    size_t rest;            /* of the page, behind the data [bytes] */
    omma_json_writer json;  /* the parts so far */
    int width, height;      /* of the picture [px] */
    size_t counted, angles; /* of the JSON: bytes looked at, and '<' in them, which grow */
    int models, blocks, left_out;
    int count[OMMA_PARTS]; /* of the model at hand */
    int64_t *tokens;       /* [count of sequences] of its sequences: how many tokens each has */
    int tokens_room;
};

/* Numbers on their way into the page. A number v of a block with levels is
 * min + (max - min) * (q / levels)^power. */
typedef struct omma_report_block {
    unsigned char *bytes; /* omma_mem_free */
    size_t size;          /* [bytes] as they are written */
    const char *type; /* "u8", "u16", "u32" (all lowest bytes, then all next ones, ...), "runs" */
    int64_t count;    /* of numbers, or of lines of runs */
    size_t unpacked;  /* [bytes] */
    bool packed;
    int levels; /* 0: whole numbers as they are */
    double min, max;
    int power; /* 1, or 2: small numbers keep more of themselves */
    /* What it was made from, for plain reports; one of them. */
    float *floats;        /* [count], a copy */
    const int32_t *ints;  /* [count], the maker's */
    const uint64_t *bits; /* [count][words], of which n_bits count; the maker's */
    int64_t words, n_bits;
} omma_report_block;

/* n numbers on levels 1..65535; where negative ones occur and both_ways is true, zero is a level
 * and the range is the same to both sides. NAN counts as the least. */
omma_status omma_report_quantise(omma_report_block *b, const float *v, int64_t n, int levels,
                                 int power, bool both_ways, omma_error *err);

/* As bytes, no scale; they are copied. */
omma_status omma_report_bytes(omma_report_block *b, const unsigned char *v, int64_t n,
                              omma_error *err);

/* Lines of bits, [lines][words], of which `bits` count, as runs (docs/report-format.md). */
omma_status omma_report_runs(omma_report_block *b, const uint64_t *v, int64_t lines, int64_t words,
                             int64_t bits, omma_error *err);

/* Pack what a block holds, where that makes it smaller: every maker ends with it. */
omma_status omma_report_pack(omma_report_block *b, omma_error *err);
void omma_report_drop(omma_report_block *b);

/* What n blocks take in the file [bytes]. */
size_t omma_report_cost(const omma_report_block *b, int n);

/* Write a block, and its reference as the value of a key of the JSON; frees it. In plain reports
 * the numbers themselves are the value. */
omma_status omma_report_put(omma_report *r, const char *key, omma_report_block *b, omma_error *err);

/* What a block was made from, as an array; lines of bits as lists of runs [first, last]. */
void omma_report_put_plain(omma_report *r, const char *key, const omma_report_block *b);

/* A line of bits as runs [first, last]. */
void omma_report_put_runs(omma_json_writer *w, const uint64_t *v, int64_t n);

/* The lines of an attention for the units asked for, all heads, over whole sequences. */
omma_status omma_report_put_looks(omma_report *r, const omma_report_attention_info *a,
                                  omma_error *err);

/* size bytes as base64; *written receives how many characters that were. */
omma_status omma_report_base64(FILE *file, const void *data, size_t size, size_t *written,
                               omma_error *err);

/* Does something that costs so much fit beside a part's JSON? */
bool omma_report_fits(const omma_report *r, size_t cost);

/* Begin and end a part. kind OMMA_PARTS: none that others refer to. */
omma_status omma_report_part(omma_report *r, const char *name, omma_report_kind kind, int *index,
                             omma_error *err);
omma_status omma_report_part_end(omma_report *r, omma_error *err);

/* Say that a part is left out; what and the label name it. Sets *index to -1. */
omma_status omma_report_left_out(omma_report *r, int about, const char *what, const char *label,
                                 size_t cost, int *index, omma_error *err);

/* Members of an object: numbers that are not finite, texts that are NULL are left out. */
void omma_report_say(omma_report *r, const char *key, const char *text);
void omma_report_say_int(omma_report *r, const char *key, int64_t v);
void omma_report_say_bool(omma_report *r, const char *key, bool v);
void omma_report_say_number(omma_report *r, const char *key, double v);
void omma_report_say_numbers(omma_report *r, const char *key, const double *v, int64_t n);
void omma_report_say_floats(omma_report *r, const char *key, const float *v, int64_t n);
void omma_report_say_unit(omma_report *r, const omma_report_unit *u);
void omma_report_say_list(omma_report *r, const omma_report_number *v, int n);

/* Does a unit refer to what there is? */
omma_status omma_report_check_unit(const omma_report *r, const omma_report_unit *u,
                                   omma_error *err);

/* OMMA_E_RANGE with these words. */
omma_status omma_report_wrong(const char *what, omma_error *err);

#endif
