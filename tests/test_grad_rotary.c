/* test_grad_rotary.c - RotaryEmbedding: its gradient against central differences, the plainer
 * operators it stands for beside its own run, their field against what changes. */
#include "fieldcheck.h"
#include "partscheck.h"

typedef struct rotary {
    int rank;
    int64_t batch, heads, len, d, turned; /* turned: rotary_embedding_dim */
    bool interleaved, places;
} rotary;

static const rotary cases[] = {{4, 2, 2, 3, 4, 0, false, false}, {4, 1, 3, 2, 4, 0, true, false},
                               {3, 2, 2, 3, 4, 0, false, false}, {3, 1, 2, 2, 6, 4, true, false},
                               {4, 2, 2, 3, 6, 2, false, true},  {3, 2, 1, 4, 4, 0, true, true},
                               {3, 2, 3, 2, 6, 4, false, true}};
enum { CASES = sizeof cases / sizeof *cases, TABLE = 5 };

static gradcheck *make(const rotary *r) {
    static const int64_t places[] = {4, 1, 1, 0, 3, 3, 2, 4};
    const int64_t half = (r->turned ? r->turned : r->d) / 2;
    gradcheck *c = gradcheck_new("RotaryEmbedding", 23, 1);
    if (r->rank == 4) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(r->batch, r->heads, r->len, r->d));
    else gradcheck_float(c, -1, 1, GRADCHECK_DIMS(r->batch, r->len, r->heads * r->d));
    for (int i = 0; i < 2; i++)
        if (r->places) gradcheck_float(c, 0.2, 1, GRADCHECK_DIMS(TABLE, half));
        else gradcheck_float(c, 0.2, 1, GRADCHECK_DIMS(r->batch, r->len, half));
    if (r->places) gradcheck_whole(c, places, GRADCHECK_DIMS(r->batch, r->len));
    if (r->rank == 3) gradcheck_int(c, "num_heads", r->heads);
    gradcheck_int(c, "rotary_embedding_dim", r->turned);
    gradcheck_int(c, "interleaved", r->interleaved);
    return c;
}

static void numbers(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        gradcheck *c = make(&cases[i]);
        partscheck_run(c);
        partscheck_halves(c);
        partscheck_free(c);
    }
}

static void gradients(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) gradcheck_run(make(&cases[i]));
}

static void fields(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) fieldcheck_run(make(&cases[i]), FIELDCHECK_EXACT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(gradients),
                                       cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
