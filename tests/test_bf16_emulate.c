/* test_bf16_emulate.c - the three instructions of bf16_emulate.h in every form, against what the
 * manual says they do, written in plain C: each is run with all registers known, and all of them
 * are looked at afterwards. A processor that has the instructions, whether it says so or not, is
 * put to the test itself, beside the emulation. */
#include "bf16_emulate.h"

#include "guard.h"

#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __x86_64__ && defined __linux__

/* All that the instructions may read or write, and memory for their operands. */
typedef struct machine {
    uint32_t z[32][16];
    uint64_t k[8];
    uint32_t memory[64]; /* its middle is the base address */
} machine;

typedef void run_fn(const machine *in, machine *out, const void *base, int64_t index);

#define EIGHT(X, A, B, C, D, E, F, G, H) \
    X(A)                                 \
    X(B)                                 \
    X(C)                                 \
    X(D)                                 \
    X(E)                                 \
    X(F)                                 \
    X(G)                                 \
    X(H)
#define EACH(X)                            \
    EIGHT(X, 0, 1, 2, 3, 4, 5, 6, 7)       \
    EIGHT(X, 8, 9, 10, 11, 12, 13, 14, 15) \
    EIGHT(X, 16, 17, 18, 19, 20, 21, 22, 23) EIGHT(X, 24, 25, 26, 27, 28, 29, 30, 31)
#define LOAD(i) "vmovdqu32 64*" #i "(%%rdi), %%zmm" #i "\n"
#define STORE(i) "vmovdqu32 %%zmm" #i ", 64*" #i "(%%rsi)\n"
#define LOAD_K(i) "kmovq 2048+8*" #i "(%%rdi), %%k" #i "\n"
#define STORE_K(i) "kmovq %%k" #i ", 2048+8*" #i "(%%rsi)\n"
#define KS(X) EIGHT(X, 0, 1, 2, 3, 4, 5, 6, 7)
#define LOST(i) , "xmm" #i
#define LOST_K(i) , "k" #i

/* The machine is loaded, text run, the machine stored. %rdx and %r13: the base of the memory
 * operand; %rcx and %r14: its index. */
#define RUN_AS(name, text)                                                                    \
    static __attribute__((target("avx512f,avx512bw"), noinline)) void name(                   \
        const machine *in, machine *out, const void *base, int64_t index) {                   \
        __asm__ volatile("movq %%rdx, %%r13\n movq %%rcx, %%r14\n" EACH(LOAD) KS(LOAD_K) text \
                         "\n" EACH(STORE) KS(STORE_K) "vzeroupper\n"                          \
                         : "+D"(in), "+S"(out), "+d"(base), "+c"(index)                       \
                         : [fixed] "m"(fixed)                                                 \
                         : "memory", "r13",                                                   \
                           "r14" EACH(LOST) LOST_K(1) LOST_K(2) LOST_K(3) LOST_K(4) LOST_K(5) \
                               LOST_K(6) LOST_K(7));                                          \
    }

/* Once as the processor takes it, and once emulated in any case. */
#define RUN(name, text) \
    RUN_AS(name, text)  \
    RUN_AS(name##_emulated, "ud2\n" text)

static uint32_t fixed[16];
enum { FIXED = 1 << 20, INDEX = 3 }; /* FIXED: an operand's place that means the array */

RUN(dot_low, "vdpbf16ps %%zmm2, %%zmm1, %%zmm0")
RUN(dot_high, "vdpbf16ps %%zmm31, %%zmm16, %%zmm25")
RUN(dot_mixed, "vdpbf16ps %%zmm9, %%zmm24, %%zmm15")
RUN(dot_self, "vdpbf16ps %%zmm7, %%zmm7, %%zmm7")
RUN(dot_mask, "vdpbf16ps %%zmm18, %%zmm11, %%zmm5 %{%%k3%}")
RUN(dot_zero, "vdpbf16ps %%zmm4, %%zmm30, %%zmm20 %{%%k7%}%{z%}")
RUN(dot_memory, "vdpbf16ps (%%rdx), %%zmm1, %%zmm8")
RUN(dot_disp8, "vdpbf16ps -64(%%rdx), %%zmm17, %%zmm29")
RUN(dot_disp32, "vdpbf16ps 20(%%r13), %%zmm17, %%zmm3")
RUN(dot_index, "vdpbf16ps 64(%%rdx,%%rcx,8), %%zmm6, %%zmm27 %{%%k1%}")
RUN(dot_index_high, "vdpbf16ps (%%r13,%%r14,4), %%zmm6, %%zmm12")
RUN(dot_no_base, "vdpbf16ps 12(,%%rdx), %%zmm6, %%zmm12")
RUN(dot_fixed, "vdpbf16ps %[fixed], %%zmm22, %%zmm13")
RUN(dot_broadcast, "vdpbf16ps (%%rdx)%{1to16%}, %%zmm21, %%zmm14")
RUN(dot_broadcast_8, "vdpbf16ps 24(%%rdx)%{1to16%}, %%zmm21, %%zmm14 %{%%k5%}")
RUN(dot_ymm, "vdpbf16ps %%ymm19, %%ymm3, %%ymm23")
RUN(dot_xmm, "vdpbf16ps 16(%%rdx), %%xmm3, %%xmm1 %{%%k2%}%{z%}")
RUN(dot_ymm_broadcast, "vdpbf16ps 8(%%rdx)%{1to8%}, %%ymm3, %%ymm1")
RUN(narrow_low, "vcvtneps2bf16 %%zmm1, %%ymm0")
RUN(narrow_high, "vcvtneps2bf16 %%zmm28, %%ymm17 %{%%k4%}")
RUN(narrow_memory, "vcvtneps2bf16 64(%%rdx), %%ymm9 %{%%k6%}%{z%}")
RUN(narrow_broadcast, "vcvtneps2bf16 -4(%%rdx)%{1to16%}, %%ymm9")
RUN(narrow_ymm, "vcvtneps2bf16 %%ymm26, %%xmm2")
RUN(narrow_xmm, "vcvtneps2bf16x (%%rdx), %%xmm2 %{%%k1%}")
RUN(narrow2_low, "vcvtne2ps2bf16 %%zmm2, %%zmm1, %%zmm0")
RUN(narrow2_high, "vcvtne2ps2bf16 %%zmm20, %%zmm21, %%zmm22 %{%%k2%}")
RUN(narrow2_memory, "vcvtne2ps2bf16 -128(%%rdx), %%zmm21, %%zmm2 %{%%k3%}%{z%}")
RUN(narrow2_broadcast, "vcvtne2ps2bf16 4(%%rdx)%{1to16%}, %%zmm10, %%zmm19")
RUN(narrow2_ymm, "vcvtne2ps2bf16 32(%%rdx), %%ymm10, %%ymm19 %{%%k1%}")

/* What each does: the last operand is register src2, or with -1 memory `place` bytes from the
 * base. */
static const struct {
    const char *name;
    run_fn *run, *emulated;
    bf16_op op;
    int bytes, dst, src1, src2, place, mask;
    bool zeroing, broadcast;
} cases[] = {
    {"dot, low", dot_low, dot_low_emulated, BF16_DOT, 64, 0, 1, 2, 0, 0, 0, 0},
    {"dot, high", dot_high, dot_high_emulated, BF16_DOT, 64, 25, 16, 31, 0, 0, 0, 0},
    {"dot, mixed", dot_mixed, dot_mixed_emulated, BF16_DOT, 64, 15, 24, 9, 0, 0, 0, 0},
    {"dot, self", dot_self, dot_self_emulated, BF16_DOT, 64, 7, 7, 7, 0, 0, 0, 0},
    {"dot, mask", dot_mask, dot_mask_emulated, BF16_DOT, 64, 5, 11, 18, 0, 3, 0, 0},
    {"dot, zero", dot_zero, dot_zero_emulated, BF16_DOT, 64, 20, 30, 4, 0, 7, 1, 0},
    {"dot, memory", dot_memory, dot_memory_emulated, BF16_DOT, 64, 8, 1, -1, 0, 0, 0, 0},
    {"dot, disp8", dot_disp8, dot_disp8_emulated, BF16_DOT, 64, 29, 17, -1, -64, 0, 0, 0},
    {"dot, disp32", dot_disp32, dot_disp32_emulated, BF16_DOT, 64, 3, 17, -1, 20, 0, 0, 0},
    {"dot, index", dot_index, dot_index_emulated, BF16_DOT, 64, 27, 6, -1, 64 - INDEX * 8, 1, 0, 0},
    {"dot, index, high", dot_index_high, dot_index_high_emulated, BF16_DOT, 64, 12, 6, -1,
     -INDEX * 4, 0, 0, 0},
    {"dot, no base", dot_no_base, dot_no_base_emulated, BF16_DOT, 64, 12, 6, -1, 12, 0, 0, 0},
    {"dot, fixed", dot_fixed, dot_fixed_emulated, BF16_DOT, 64, 13, 22, -1, FIXED, 0, 0, 0},
    {"dot, broadcast", dot_broadcast, dot_broadcast_emulated, BF16_DOT, 64, 14, 21, -1, 0, 0, 0, 1},
    {"dot, broadcast, disp8", dot_broadcast_8, dot_broadcast_8_emulated, BF16_DOT, 64, 14, 21, -1,
     24, 5, 0, 1},
    {"dot, ymm", dot_ymm, dot_ymm_emulated, BF16_DOT, 32, 23, 3, 19, 0, 0, 0, 0},
    {"dot, xmm", dot_xmm, dot_xmm_emulated, BF16_DOT, 16, 1, 3, -1, 16, 2, 1, 0},
    {"dot, ymm, broadcast", dot_ymm_broadcast, dot_ymm_broadcast_emulated, BF16_DOT, 32, 1, 3, -1,
     8, 0, 0, 1},
    {"narrow, low", narrow_low, narrow_low_emulated, BF16_NARROW, 64, 0, 0, 1, 0, 0, 0, 0},
    {"narrow, high", narrow_high, narrow_high_emulated, BF16_NARROW, 64, 17, 0, 28, 0, 4, 0, 0},
    {"narrow, memory", narrow_memory, narrow_memory_emulated, BF16_NARROW, 64, 9, 0, -1, 64, 6, 1,
     0},
    {"narrow, broadcast", narrow_broadcast, narrow_broadcast_emulated, BF16_NARROW, 64, 9, 0, -1,
     -4, 0, 0, 1},
    {"narrow, ymm", narrow_ymm, narrow_ymm_emulated, BF16_NARROW, 32, 2, 0, 26, 0, 0, 0, 0},
    {"narrow, xmm", narrow_xmm, narrow_xmm_emulated, BF16_NARROW, 16, 2, 0, -1, 0, 1, 0, 0},
    {"narrow two, low", narrow2_low, narrow2_low_emulated, BF16_NARROW_2, 64, 0, 1, 2, 0, 0, 0, 0},
    {"narrow two, high", narrow2_high, narrow2_high_emulated, BF16_NARROW_2, 64, 22, 21, 20, 0, 2,
     0, 0},
    {"narrow two, memory", narrow2_memory, narrow2_memory_emulated, BF16_NARROW_2, 64, 2, 21, -1,
     -128, 3, 1, 0},
    {"narrow two, broadcast", narrow2_broadcast, narrow2_broadcast_emulated, BF16_NARROW_2, 64, 19,
     10, -1, 4, 0, 0, 1},
    {"narrow two, ymm", narrow2_ymm, narrow2_ymm_emulated, BF16_NARROW_2, 32, 19, 10, -1, 32, 1, 0,
     0},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* --- the definition -------------------------------------------------------------------------- */

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}
/* A denormal number is a zero of its sign. */
static float flushed(float f) { return fabsf(f) < 0x1p-126f ? copysignf(0, f) : f; }
static float multiply_add(uint32_t a, uint32_t b, float c) {
    const float fa = flushed(float_of(a)), fb = flushed(float_of(b));
    return flushed(fmaf(fa, fb, flushed(c)));
}

/* c + the products of the odd halves, then of the even ones. */
static uint32_t dot(uint32_t a, uint32_t b, uint32_t c) {
    const float odd = multiply_add(a & 0xffff0000u, b & 0xffff0000u, float_of(c));
    return bits_of(multiply_add(a << 16, b << 16, odd));
}

/* To the nearest of the two neighbours, of two as near to the even one; found by trying. */
static uint16_t narrow(uint32_t x) {
    const float f = flushed(float_of(x));
    const uint32_t down = bits_of(f) & 0xffff0000u, up = down + 0x10000u;
    if (isnan(f)) return (uint16_t)(down >> 16 | 0x40);
    if (isinf(f)) return (uint16_t)(down >> 16);
    const double top =
        (up & 0x7fffffffu) == 0x7f800000u ? copysign(0x1p128, (double)f) : (double)float_of(up);
    const double below = fabs((double)f - (double)float_of(down)), above = fabs(top - (double)f);
    const bool even_below = !(down >> 16 & 1);
    return (uint16_t)((below < above || (below == above && even_below) ? down : up) >> 16);
}

static void expect_dot(int c, machine *m, const uint32_t *memory) {
    const int lanes = cases[c].bytes / 4;
    for (int i = 0; i < 16; i++) {
        uint32_t *d = &m->z[cases[c].dst][i];
        const uint32_t last = cases[c].src2 >= 0 ? m->z[cases[c].src2][i]
                                                 : memory[cases[c].broadcast ? 0 : i % lanes];
        const bool on = !cases[c].mask || m->k[cases[c].mask] >> i & 1;
        if (i >= lanes || (!on && cases[c].zeroing)) *d = 0;
        else if (on) *d = dot(m->z[cases[c].src1][i], last, *d);
    }
}

static void expect_narrow(int c, machine *m, const uint32_t *memory) {
    const int numbers = cases[c].bytes / 4,
              lanes = cases[c].op == BF16_NARROW ? numbers : 2 * numbers;
    uint16_t result[32];
    memcpy(result, m->z[cases[c].dst], 64);
    for (int i = 0; i < 32; i++) {
        const bool on = !cases[c].mask || m->k[cases[c].mask] >> i & 1;
        const uint32_t from = i >= lanes           ? 0
                              : i >= numbers       ? m->z[cases[c].src1][i - numbers]
                              : cases[c].src2 >= 0 ? m->z[cases[c].src2][i]
                                                   : memory[cases[c].broadcast ? 0 : i];
        if (i >= lanes || (!on && cases[c].zeroing)) result[i] = 0;
        else if (on) result[i] = narrow(from);
    }
    memcpy(m->z[cases[c].dst], result, 64);
}

/* --- the tests ------------------------------------------------------------------------------- */

/* Bits of all kinds: ordinary numbers, extremes, ties, and what is none. */
static uint32_t any_bits(void) {
    static const uint32_t special[] = {
        0,           0x80000000u, 1,           0x807fffffu, 0x00800000u, 0x7f7fffffu, 0x7f800000u,
        0xff800000u, 0x7fc00000u, 0x7f800001u, 0x3f808000u, 0x3f818000u, 0x3f80ffffu, 0x7f7f8000u,
        0x00400040u, 0x3f800001u, 0x0000ffffu, 0x01000080u, 0x20002000u, 0xffff7fffu};
    if (rng_int(0, 7) == 0) return special[rng_int(0, sizeof special / sizeof *special - 1)];
    if (rng_int(0, 7) == 0) return rng();
    const uint32_t one = bits_of(rng_float()), two = bits_of(rng_float());
    return rng_int(0, 1) ? one : (one & 0xffff0000u) | two >> 16;
}

static void any_machine(machine *m) {
    for (int r = 0; r < 32; r++)
        for (int i = 0; i < 16; i++) m->z[r][i] = any_bits();
    for (int i = 0; i < 8; i++) m->k[i] = (uint64_t)rng() << 32 | rng();
    for (int i = 0; i < 64; i++) m->memory[i] = any_bits();
    for (int i = 0; i < 16; i++) fixed[i] = any_bits();
}

/* Is it the same number: any NaN of a dot product is as good as another. */
static bool same(uint32_t got, uint32_t want, bool number) {
    return got == want || (number && isnan(float_of(got)) && isnan(float_of(want)));
}

static void check(int c, const machine *got, const machine *want) {
    for (int r = 0; r < 32; r++)
        for (int i = 0; i < 16; i++)
            if (!same(got->z[r][i], want->z[r][i], cases[c].op == BF16_DOT && r == cases[c].dst))
                fail_msg("%s: register %d number %d is %08x, not %08x", cases[c].name, r, i,
                         (unsigned)got->z[r][i], (unsigned)want->z[r][i]);
    for (int i = 0; i < 8; i++)
        if (got->k[i] != want->k[i]) fail_msg("%s: mask %d changed", cases[c].name, i);
}

static void check_case(int c) {
    machine in, out, want;
    any_machine(&in);
    want = in;
    uint32_t *middle = in.memory + 32;
    const bool nowhere = cases[c].place == FIXED;
    const uint32_t *memory = nowhere ? fixed : middle + cases[c].place / 4;
    (cases[c].op == BF16_DOT ? expect_dot : expect_narrow)(c, &want, memory);
    cases[c].run(&in, &out, middle, -INDEX);
    check(c, &out, &want);
    cases[c].emulated(&in, &out, middle, -INDEX);
    check(c, &out, &want);
}

static void begin(void) {
    if (!bf16_emulate_begin()) {
        print_message("SKIPPED: no AVX-512\n");
        skip();
    }
}

static void test_every_form(void **state) {
    (void)state;
    begin();
    for (int round = 0; round < 60; round++)
        for (int c = 0; c < N_CASES; c++) check_case(c);
    assert_true(bf16_state.count == 60 * N_CASES || bf16_state.count == 2 * 60 * N_CASES);
    bf16_emulate_end();
}

/* Registers that hold nothing yet are left out of the saved state: their zeros count. */
static void test_first_state(void **state) {
    (void)state;
    begin();
    uint32_t y[16];
    __asm__ volatile("vzeroall\n vpxord %%zmm16, %%zmm16, %%zmm16\n"
                     "ud2\n vdpbf16ps %%zmm16, %%zmm1, %%zmm2\n vmovdqu32 %%zmm2, (%0)\n vzeroupper"
                     :
                     : "r"(y)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    for (int i = 0; i < 16; i++) assert_int_equal(y[i], 0);
    bf16_emulate_end();
}

/* What a mask leaves out is not read: here it lies beyond the end of a page. */
static void test_mask_keeps_off(void **state) {
    (void)state;
    begin();
    const long page = sysconf(_SC_PAGESIZE);
    unsigned char *two =
        mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(two != MAP_FAILED && !mprotect(two + page, (size_t)page, PROT_NONE));
    static machine in, out;
    in.k[1] = 7;
    for (int i = 0; i < 16; i++) in.z[6][i] = 0x3f803f80u;
    for (int i = 0; i < 3; i++) memcpy(two + page - 12 + 4 * i, &in.z[6][i], 4);
    dot_index_emulated(&in, &out, two + page - 12 - 64, 0);
    for (int i = 0; i < 16; i++) assert_int_equal(out.z[27][i], i < 3 ? 0x40000000u : 0);
    munmap(two, 2 * (size_t)page);
    bf16_emulate_end();
}

/* Any other instruction that does not exist is still an error. */
static void test_others_fail(void **state) {
    (void)state;
    begin();
    bf16_emulate_end();
    const pid_t child = fork();
    if (!child) {
        signal(SIGILL, SIG_DFL); /* cmocka has a handler of its own */
        bf16_emulate_begin();
        __asm__ volatile("ud2\n nop");
        _exit(0);
    }
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_first_state),
        cmocka_unit_test(test_mask_keeps_off),
        cmocka_unit_test(test_others_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_elsewhere(void **state) {
    (void)state;
    assert_false(bf16_emulate_begin());
    print_message("SKIPPED: the instructions are x86-64's\n");
    skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_elsewhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
