/* report_context.c - parts of a report that say how tokens see each other: sequences of tokens,
 * attention, sampling places, and the ledger of a token. Attention is most of a report's bytes: its
 * weights are kept as finely as there is room for. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "view/report_write.h"

enum { FINE = 255, MAX_LEVELS = 65535 };
static const int steps[] = {FINE, 63, 15}; /* levels of weights, until they fit */

static bool is_part(const omma_report *r, omma_report_kind kind, int i) {
    return i >= -1 && i < r->count[kind];
}

/* --- tokens ----------------------------------------------------------------------------- */

static void say_grid(omma_report *r, const omma_report_grid *g) {
    omma_json_begin_object(&r->json);
    omma_report_say_int(r, "from", g->from);
    omma_report_say_int(r, "rows", g->rows);
    omma_report_say_int(r, "columns", g->columns);
    omma_report_say_int(r, "row_step", g->row_step);
    omma_report_say_int(r, "column_step", g->column_step);
    omma_report_say_number(r, "first_y", g->first_y);
    omma_report_say_number(r, "first_x", g->first_x);
    omma_report_say_number(r, "jump_y", g->jump_y);
    omma_report_say_number(r, "jump_x", g->jump_x);
    omma_report_say_int(r, "layer", g->layer);
    omma_json_end_object(&r->json);
}

/* All tokens of a grid are tokens of the sequence. */
static bool sound_grid(const omma_report *r, const omma_report_grid *g, int64_t count) {
    if (g->rows < 1 || g->columns < 1 || g->rows > count || g->columns > count || g->from < 0 ||
        g->row_step < 1 || g->column_step < 1 || g->row_step > count || g->column_step > count)
        return false;
    const int64_t last = g->from + (g->rows - 1) * g->row_step + (g->columns - 1) * g->column_step;
    return last < count && is_part(r, OMMA_PART_LAYER, g->layer);
}

/* Remember how many tokens the sequence has that is to be added. */
static omma_status remember(omma_report *r, int64_t count, omma_error *err) {
    const int n = r->count[OMMA_PART_TOKENS];
    if (n == r->tokens_room) {
        const int room = n ? 2 * n : 16;
        int64_t *more = omma_mem_alloc((size_t)room * sizeof *more);
        if (!more) return omma_fail(err, OMMA_E_NOMEM, "no memory for a part of the report");
        if (n) memcpy(more, r->tokens, (size_t)n * sizeof *more);
        omma_mem_free(r->tokens);
        r->tokens = more;
        r->tokens_room = room;
    }
    r->tokens[n] = count;
    return OMMA_OK;
}

omma_status omma_report_tokens(omma_report *r, const omma_report_tokens_info *t, int *index,
                               omma_error *err) {
    if (t->count < 1 || t->count > INT32_MAX) return omma_report_wrong("a count of tokens", err);
    for (int i = 0; i < t->n_grid; i++)
        if (!sound_grid(r, &t->grid[i], t->count)) return omma_report_wrong("a grid", err);
    OMMA_TRY(remember(r, t->count, err));
    OMMA_TRY(omma_report_part(r, "tokens", OMMA_PART_TOKENS, index, err));
    omma_report_say(r, "label", t->label);
    omma_report_say_int(r, "count", t->count);
    omma_report_say_bool(r, "queries", t->queries);
    omma_json_key(&r->json, "grids");
    omma_json_begin_array(&r->json);
    for (int i = 0; i < t->n_grid; i++) say_grid(r, &t->grid[i]);
    omma_json_end_array(&r->json);
    omma_json_key(&r->json, "special");
    omma_json_begin_array(&r->json);
    for (int i = 0; i < t->n_special && t->special; i++)
        omma_json_put_text(&r->json, t->special[i]);
    omma_json_end_array(&r->json);
    return omma_report_part_end(r, err);
}

/* --- attention -------------------------------------------------------------------------- */

/* Weights on their way: numbers of a row are kept relative to its largest. */
typedef struct weights {
    omma_report_block levels, largest;
    int64_t heads; /* 1: their mean */
    int fine;      /* levels */
} weights;

static void drop_weights(weights *w) {
    omma_report_drop(&w->levels);
    omma_report_drop(&w->largest);
}

static float find_largest(const float *row, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; i++)
        if (row[i] > largest) largest = row[i];
    return largest;
}

/* The square root brings small weights, of which there are many, farther apart. */
static void put_row(unsigned char *to, const float *row, int64_t n, float largest, int levels) {
    const float scale = largest > 0 ? 1 / largest : 0;
    for (int64_t i = 0; i < n; i++) {
        const float t = row[i] > 0 ? row[i] * scale : 0;
        to[i] = (unsigned char)(sqrtf(t < 1 ? t : 1) * (float)levels + 0.5f);
    }
}

static omma_status make_weights(weights *w, const float *v, int64_t rows, int64_t keys, int levels,
                                omma_error *err) {
    w->fine = levels;
    w->levels = (omma_report_block){
        .type = "u8", .count = rows * keys, .levels = levels, .max = 1, .power = 2};
    float *largest = omma_mem_alloc_raw((size_t)rows * sizeof *largest);
    w->levels.bytes = omma_mem_alloc_raw((size_t)(rows * keys));
    w->levels.unpacked = (size_t)(rows * keys);
    if (!largest || !w->levels.bytes) {
        omma_mem_free(largest);
        drop_weights(w);
        return omma_fail(err, OMMA_E_NOMEM, "no memory for attention in the report");
    }
    for (int64_t i = 0; i < rows; i++) {
        largest[i] = find_largest(v + i * keys, keys);
        put_row(w->levels.bytes + i * keys, v + i * keys, keys, largest[i], levels);
    }
    omma_status status =
        omma_report_quantise(&w->largest, largest, rows, MAX_LEVELS, 2, false, err);
    omma_mem_free(largest);
    if (!status) status = omma_report_pack(&w->levels, err);
    if (status) drop_weights(w);
    return status;
}

/* [windows, queries, keys]: the mean over heads, for omma_mem_free. */
static float *mean_over_heads(const omma_report_attention_info *a) {
    const int64_t map = a->queries * a->keys;
    float *mean = omma_mem_alloc((size_t)(a->windows * map) * sizeof *mean);
    if (!mean) return NULL;
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t h = 0; h < a->heads; h++) {
            const float *from = a->weights + (w * a->heads + h) * map;
            for (int64_t i = 0; i < map; i++) mean[w * map + i] += from[i] / (float)a->heads;
        }
    return mean;
}

static size_t cost_of(const weights *w) {
    return omma_report_cost(&w->levels, 1) + omma_report_cost(&w->largest, 1);
}

/* As finely as room allows; without blocks where nothing fits. *wanted: what all of it would take.
 */
static omma_status fit_weights(weights *w, const omma_report_attention_info *a, size_t room,
                               size_t *wanted, omma_error *err) {
    const int64_t rows = a->windows * a->heads * a->queries;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        OMMA_TRY(make_weights(w, a->weights, rows, a->keys, steps[i], err));
        w->heads = a->heads;
        if (!i) *wanted = cost_of(w);
        if (cost_of(w) <= room) return OMMA_OK;
        drop_weights(w);
    }
    if (a->heads < 2) return OMMA_OK;
    float *mean = mean_over_heads(a);
    if (!mean) return omma_fail(err, OMMA_E_NOMEM, "no memory for attention in the report");
    omma_status status = make_weights(w, mean, a->windows * a->queries, a->keys, FINE, err);
    omma_mem_free(mean);
    if (status) return status;
    w->heads = 1;
    if (cost_of(w) > room) drop_weights(w);
    return OMMA_OK;
}

/* Token numbers of windows, from 1; 0: padding. */
static omma_status make_tokens(omma_report_block *b, const int32_t *token, int64_t n,
                               omma_error *err) {
    if (!token) return OMMA_OK;
    *b = (omma_report_block){.type = "u32", .count = n, .unpacked = (size_t)n * 4, .ints = token};
    b->bytes = omma_mem_alloc_raw((size_t)n * 4);
    if (!b->bytes) return omma_fail(err, OMMA_E_NOMEM, "no memory for windows in the report");
    for (int64_t i = 0; i < n; i++) {
        const unsigned t = token[i] < 0 ? 0 : (unsigned)token[i] + 1;
        for (int k = 0; k < 4; k++) b->bytes[k * n + i] = (unsigned char)(t >> 8 * k & 255);
    }
    return omma_report_pack(b, err);
}

static bool sound_attention(const omma_report *r, const omma_report_attention_info *a) {
    size_t n;
    return a->windows > 0 && a->heads > 0 && a->queries > 0 && a->keys > 0 &&
           omma_dims_bytes((int64_t[]){a->windows, a->heads, a->queries, a->keys}, 4, 4, &n) &&
           (!a->query_token || a->windows * a->queries <= INT32_MAX) &&
           is_part(r, OMMA_PART_TOKENS, a->query) && is_part(r, OMMA_PART_TOKENS, a->key);
}

static void say_attention(omma_report *r, const omma_report_attention_info *a) {
    omma_report_say(r, "label", a->label);
    omma_report_say(r, "kind", a->kind);
    omma_report_say(r, "stack", a->stack);
    omma_report_say_int(r, "block", a->block);
    omma_report_say_int(r, "query", a->query);
    omma_report_say_int(r, "key", a->key);
    omma_report_say_int(r, "windows", a->windows);
    omma_report_say_int(r, "heads", a->heads);
    omma_report_say_int(r, "queries", a->queries);
    omma_report_say_int(r, "keys", a->keys);
    omma_report_say_numbers(r, "distance", a->distance, a->heads);
    omma_report_say_numbers(r, "entropy", a->entropy, a->heads);
    omma_report_say_numbers(r, "on_self", a->on_self, a->heads);
    omma_report_say_numbers(r, "on_special", a->on_special, a->heads);
    omma_report_say_number(r, "uniform", a->uniform);
    omma_report_say_number(r, "ceiling", a->ceiling);
}

static omma_status put_attention(omma_report *r, const omma_report_attention_info *a, weights *w,
                                 omma_report_block token[2], int *index, omma_error *err) {
    OMMA_TRY(omma_report_part(r, "attention", OMMA_PART_ATTENTION, index, err));
    say_attention(r, a);
    if (r->plain) OMMA_TRY(omma_report_put_looks(r, a, err));
    if (w->levels.bytes) {
        omma_report_say_int(r, "kept_heads", w->heads);
        omma_report_say_int(r, "kept_levels", w->fine);
        OMMA_TRY(omma_report_put(r, "weights", &w->levels, err));
        OMMA_TRY(omma_report_put(r, "largest", &w->largest, err));
        OMMA_TRY(omma_report_put(r, "query_token", &token[0], err));
        OMMA_TRY(omma_report_put(r, "key_token", &token[1], err));
    }
    return omma_report_part_end(r, err);
}

/* What of the weights is missing, for people. */
static omma_status tell_loss(omma_report *r, const omma_report_attention_info *a, const weights *w,
                             size_t wanted, omma_error *err) {
    char coarse[64];
    snprintf(coarse, sizeof coarse, "fine steps of weights (%d are kept instead of %d)",
             w->fine + 1, FINE + 1);
    const char *gone = !w->levels.bytes      ? "the weights of all heads"
                       : w->heads < a->heads ? "single heads (their mean is kept)"
                       : w->fine < FINE      ? coarse
                                             : NULL;
    if (!gone || !a->weights) return OMMA_OK;
    return omma_report_left_out(r, OMMA_REPORT_ATTENTION, gone, a->label, wanted, NULL, err);
}

omma_status omma_report_attention(omma_report *r, const omma_report_attention_info *a, int *index,
                                  omma_error *err) {
    if (!sound_attention(r, a)) return omma_report_wrong("an attention", err);
    weights w = {0};
    omma_report_block token[2] = {0};
    omma_status status = make_tokens(&token[0], a->query_token, a->windows * a->queries, err);
    if (!status) status = make_tokens(&token[1], a->key_token, a->windows * a->keys, err);
    const size_t beside = omma_report_cost(token, 2) + (size_t)a->heads * 64 + 8192;
    size_t room = omma_report_room(r), wanted = 0;
    room = room > beside ? room - beside : 0;
    if (a->most && a->most < room) room = a->most;
    if (!status && a->weights && !r->plain) status = fit_weights(&w, a, room, &wanted, err);
    if (!status && !r->plain) status = tell_loss(r, a, &w, wanted, err);
    if (!status) status = put_attention(r, a, &w, token, index, err);
    drop_weights(&w);
    omma_report_drop(&token[0]);
    omma_report_drop(&token[1]);
    return status;
}

/* --- sampling places -------------------------------------------------------------------- */

omma_status omma_report_samples(omma_report *r, const omma_report_samples_info *s, int *index,
                                omma_error *err) {
    size_t bytes;
    if (!omma_dims_bytes((int64_t[]){s->queries, s->heads, s->points}, 3, 8, &bytes) || !bytes ||
        !is_part(r, OMMA_PART_TOKENS, s->query))
        return omma_report_wrong("sampling places", err);
    const int64_t n = s->queries * s->heads * s->points;
    omma_report_block b[2] = {0};
    omma_status status = omma_report_quantise(&b[0], s->place, n * 2, MAX_LEVELS, 1, false, err);
    if (!status && s->weight)
        status = omma_report_quantise(&b[1], s->weight, n, FINE, 1, false, err);
    const size_t cost = omma_report_cost(b, 2);
    if (!status && !omma_report_fits(r, cost)) {
        status = omma_report_left_out(r, OMMA_REPORT_ATTENTION, "sampling places", s->label, cost,
                                      index, err);
    } else if (!status) {
        status = omma_report_part(r, "samples", OMMA_PART_SAMPLES, index, err);
        omma_report_say(r, "label", s->label);
        omma_report_say_int(r, "query", s->query);
        omma_report_say_int(r, "block", s->block);
        omma_report_say_int(r, "queries", s->queries);
        omma_report_say_int(r, "heads", s->heads);
        omma_report_say_int(r, "points", s->points);
        if (!status) status = omma_report_put(r, "place", &b[0], err);
        if (!status) status = omma_report_put(r, "weight", &b[1], err);
        if (!status) status = omma_report_part_end(r, err);
    }
    omma_report_drop(&b[0]);
    omma_report_drop(&b[1]);
    return status;
}

/* --- blocks ----------------------------------------------------------------------------- */

static void say_column(omma_report *r, const omma_report_number *c) {
    omma_json_begin_object(&r->json);
    omma_report_say(r, "name", c->name);
    omma_report_say(r, "unit", c->unit);
    omma_report_say(r, "says", c->says);
    omma_json_end_object(&r->json);
}

static void say_row(omma_report *r, const omma_report_blocks_row *row, int columns) {
    omma_json_begin_object(&r->json);
    omma_report_say(r, "label", row->label);
    omma_report_say(r, "kind", row->kind);
    omma_report_say_int(r, "attention", row->attention);
    omma_report_say_numbers(r, "values", row->value, columns);
    omma_json_end_object(&r->json);
}

static bool sound_blocks(const omma_report *r, const omma_report_blocks_info *b) {
    if (b->n_column < 1 || b->n_row < 1 || !is_part(r, OMMA_PART_TOKENS, b->tokens)) return false;
    for (int i = 0; i < b->n_row; i++)
        if (!b->row[i].value || !is_part(r, OMMA_PART_ATTENTION, b->row[i].attention)) return false;
    return true;
}

omma_status omma_report_blocks(omma_report *r, const omma_report_blocks_info *b, int *index,
                               omma_error *err) {
    if (!sound_blocks(r, b)) return omma_report_wrong("a table of blocks", err);
    const size_t cost =
        (size_t)b->n_column * 256 + (size_t)b->n_row * (256 + 16 * (size_t)b->n_column);
    if (!omma_report_fits(r, cost))
        return omma_report_left_out(r, OMMA_REPORT_ATTENTION, "what each block did", NULL, cost,
                                    index, err);
    OMMA_TRY(omma_report_part(r, "blocks", OMMA_PART_BLOCKS, index, err));
    omma_report_say_int(r, "tokens", b->tokens);
    omma_json_key(&r->json, "columns");
    omma_json_begin_array(&r->json);
    for (int i = 0; i < b->n_column; i++) say_column(r, &b->column[i]);
    omma_json_end_array(&r->json);
    omma_json_key(&r->json, "rows");
    omma_json_begin_array(&r->json);
    for (int i = 0; i < b->n_row; i++) say_row(r, &b->row[i], b->n_column);
    omma_json_end_array(&r->json);
    return omma_report_part_end(r, err);
}
