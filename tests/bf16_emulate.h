/* bf16_emulate.h - VDPBF16PS, VCVTNEPS2BF16 and VCVTNE2PS2BF16 on processors that have AVX-512
 * but not these, so that kernels made of them can be tested: a SIGILL handler decodes exactly
 * these three, in every EVEX form (xmm to zmm, masks, memory, broadcast), does in C what they do
 * to the registers the kernel saved, and goes on behind them. An instruction takes
 * microseconds. Processors that have them never come here.
 *
 * As in Intel's Software Developer's Manual: the operations in volume 2 under the three names
 * (the odd pair of a dot product is multiplied and added first, then the even one, each with one
 * rounding to nearest; denormals are zeros on the way in and out, MXCSR is not asked), EVEX in
 * volume 2, 2.7, the saved registers in volume 1, 13.4. A broadcast operand of VCVTNE2PS2BF16
 * gives the lower half alone, the upper one is the other source.
 *
 * Include it first: it asks for _GNU_SOURCE. Linux on x86-64; elsewhere bf16_emulate_begin says
 * no. */
#ifndef OMMA_TESTS_BF16_EMULATE_H
#define OMMA_TESTS_BF16_EMULATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>

#if defined __x86_64__ && defined __linux__
#include <cpuid.h>
#include <immintrin.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "base/cpu.h"

typedef enum bf16_op { BF16_DOT, BF16_NARROW, BF16_NARROW_2 } bf16_op;

/* An instruction, taken apart. Registers 0..31. */
typedef struct bf16_insn {
    bf16_op op;
    int bytes; /* of a vector: 16, 32, 64 */
    int dst, src1, src2;
    int mask; /* 0: none */
    bool zeroing, memory, broadcast;
    const unsigned char *at; /* the memory operand */
    int length;
} bf16_insn;

/* --- registers in the saved state ---------------------------------------------------------- */

enum { BF16_SSE = 1, BF16_AVX, BF16_OPMASK = 5, BF16_HIGH_256, BF16_HIGH_16, BF16_PARTS };
enum { BF16_XMM_AT = 160, BF16_SW_AT = 464, BF16_HEADER_AT = 512 };

static struct {
    unsigned offset[BF16_PARTS], size[BF16_PARTS];
    struct sigaction before;
    volatile sig_atomic_t count; /* instructions emulated */
} bf16_state;

static inline void bf16_layout(void) {
    bf16_state.offset[BF16_SSE] = BF16_XMM_AT, bf16_state.size[BF16_SSE] = 256;
    for (unsigned i = BF16_AVX; i < BF16_PARTS; i++) {
        unsigned c, d;
        __cpuid_count(0xd, i, bf16_state.size[i], bf16_state.offset[i], c, d);
    }
}

/* Are all the parts in this state, and in the plain format? A part whose bit is clear is in its
 * first state, zeros, whatever lies there: written out, and from now on told of. */
static inline bool bf16_open(unsigned char *x) {
    uint32_t magic, size;
    uint64_t header[2];
    memcpy(&magic, x + BF16_SW_AT, 4);
    memcpy(&size, x + BF16_SW_AT + 16,
           4); /* xstate_size, behind magic1, extended_size, xfeatures */
    memcpy(header, x + BF16_HEADER_AT, sizeof header);
    if (magic != FP_XSTATE_MAGIC1 || header[1] >> 63) return false;
    for (unsigned i = BF16_SSE; i < BF16_PARTS; i++) {
        if (i > BF16_AVX && i < BF16_OPMASK) continue; /* of MPX */
        if (!bf16_state.size[i] || bf16_state.offset[i] + bf16_state.size[i] > size) return false;
        if (!(header[0] >> i & 1)) memset(x + bf16_state.offset[i], 0, bf16_state.size[i]);
        header[0] |= UINT64_C(1) << i;
    }
    memcpy(x + BF16_HEADER_AT, header, sizeof header);
    return true;
}

/* The 64 bytes of register n lie in up to three places: 16, 16, 32, or all in one. */
static inline void bf16_places(unsigned char *x, int n, unsigned char *place[3]) {
    unsigned char *high = x + bf16_state.offset[BF16_HIGH_16] + 64 * (n - 16);
    place[0] = n < 16 ? x + bf16_state.offset[BF16_SSE] + 16 * n : high;
    place[1] = n < 16 ? x + bf16_state.offset[BF16_AVX] + 16 * n : high + 16;
    place[2] = n < 16 ? x + bf16_state.offset[BF16_HIGH_256] + 32 * n : high + 32;
}

static inline void bf16_get(unsigned char *x, int n, unsigned char v[64]) {
    unsigned char *place[3];
    bf16_places(x, n, place);
    memcpy(v, place[0], 16), memcpy(v + 16, place[1], 16), memcpy(v + 32, place[2], 32);
}

static inline void bf16_put(unsigned char *x, int n, const unsigned char v[64]) {
    unsigned char *place[3];
    bf16_places(x, n, place);
    memcpy(place[0], v, 16), memcpy(place[1], v + 16, 16), memcpy(place[2], v + 32, 32);
}

/* --- what the instructions do ---------------------------------------------------------------- */

/* c + a*b by the processor's own instruction: MXCSR is set when this is called. */
static inline float bf16_fma(uint16_t a, uint16_t b, float c) {
    const uint32_t wide_a = (uint32_t)a << 16, wide_b = (uint32_t)b << 16;
    float fa, fb;
    memcpy(&fa, &wide_a, 4);
    memcpy(&fb, &wide_b, 4);
    __asm__ volatile("vfmadd231ss %2, %1, %0" : "+x"(c) : "x"(fa), "x"(fb));
    return c;
}

static inline uint16_t bf16_narrow(uint32_t x) {
    const uint32_t exponent = x >> 23 & 255, fraction = x & 0x7fffff;
    if (!exponent) return (uint16_t)(x >> 16 & 0x8000);
    if (exponent == 255) return (uint16_t)(x >> 16 | (fraction ? 0x40 : 0));
    return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

/* Number i of the last operand. Read one by one: what a mask leaves out is not touched. */
static inline uint32_t bf16_source(const bf16_insn *q, const unsigned char reg[64], int i) {
    uint32_t v;
    memcpy(&v, q->memory ? q->at + (q->broadcast ? 0 : 4 * i) : reg + 4 * i, 4);
    return v;
}

static inline void bf16_dot_lane(const bf16_insn *q, const unsigned char s1[64],
                                 const unsigned char s2[64], int i, unsigned char d[64]) {
    const uint32_t t = bf16_source(q, s2, i);
    uint16_t pair[2];
    float sum;
    memcpy(pair, s1 + 4 * i, 4);
    memcpy(&sum, d + 4 * i, 4);
    sum = bf16_fma(pair[1], (uint16_t)(t >> 16), sum);
    sum = bf16_fma(pair[0], (uint16_t)t, sum);
    memcpy(d + 4 * i, &sum, 4);
}

static inline void bf16_narrow_lane(const bf16_insn *q, const unsigned char s1[64],
                                    const unsigned char s2[64], int i, unsigned char d[64]) {
    const int half = q->bytes / 4;
    uint32_t t;
    if (i < half) t = bf16_source(q, s2, i);
    else memcpy(&t, s1 + 4 * (i - half), 4);
    const uint16_t narrow = bf16_narrow(t);
    memcpy(d + 2 * i, &narrow, 2);
}

static inline void bf16_do(const bf16_insn *q, unsigned char *x) {
    const int size = q->op == BF16_DOT ? 4 : 2; /* of a lane */
    const int lanes = q->bytes / (q->op == BF16_NARROW_2 ? 2 : 4);
    unsigned char s1[64], s2[64] = {0}, d[64];
    uint64_t mask = ~UINT64_C(0);
    bf16_get(x, q->src1, s1);
    if (!q->memory) bf16_get(x, q->src2, s2);
    bf16_get(x, q->dst, d);
    if (q->mask) memcpy(&mask, x + bf16_state.offset[BF16_OPMASK] + 8 * q->mask, 8);
    const unsigned csr = _mm_getcsr();
    _mm_setcsr(0x9fc0); /* to nearest, denormals as zeros in and out, nothing trapped */
    for (int i = 0; i < lanes; i++) {
        if (!(mask >> i & 1)) {
            if (q->zeroing) memset(d + i * size, 0, (size_t)size);
        } else if (q->op == BF16_DOT) bf16_dot_lane(q, s1, s2, i, d);
        else bf16_narrow_lane(q, s1, s2, i, d);
    }
    _mm_setcsr(csr);
    memset(d + lanes * size, 0, (size_t)(64 - lanes * size));
    bf16_put(x, q->dst, d);
}

/* --- decoding -------------------------------------------------------------------------------- */

static inline uint64_t bf16_general(const greg_t *g, int n) {
    static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t)g[order[n]];
}

/* A displacement of one byte counts in units of the operand, 4 bytes when it is broadcast. */
static inline void bf16_address(bf16_insn *q, const unsigned char *ip, const greg_t *g, bool x,
                                bool b) {
    const int mod = ip[5] >> 6, rm = ip[5] & 7;
    int n = 6; /* bytes of the instruction so far */
    uint64_t at = 0;
    int base = rm;
    if (rm == 4) {
        const int sib = ip[n++], index = (sib >> 3 & 7) | x << 3;
        base = sib & 7;
        if (index != 4) at += bf16_general(g, index) << (sib >> 6);
    }
    const bool none = base == 5 && mod == 0, relative = none && rm == 5;
    if (!none) at += bf16_general(g, base | b << 3);
    if (mod == 1) at += (uint64_t)((int64_t)(int8_t)ip[n++] * (q->broadcast ? 4 : q->bytes));
    if (mod == 2 || none) {
        int32_t far;
        memcpy(&far, ip + n, 4);
        n += 4;
        at += (uint64_t)(int64_t)far;
    }
    q->length = n;
    if (relative) at += (uint64_t)(uintptr_t)(ip + n);
    q->at = (const unsigned char *)(uintptr_t)at;
}

/* 62 P0 P1 P2 opcode ModRM. P0: R X B R' of registers, inverted, and the opcode map; P1: W, the
 * second register inverted, a bit 1, the prefix; P2: z, the length, broadcast, V' inverted, the
 * mask. */
static inline bool bf16_decode(const unsigned char *ip, const greg_t *g, bf16_insn *q) {
    const unsigned p0 = ip[1], p1 = ip[2], p2 = ip[3], prefix = p1 & 3, length = p2 >> 5 & 3;
    enum { F3 = 2, F2 = 3 };
    if (ip[0] != 0x62 || (p0 & 15) != 2 || !(p1 & 4) || p1 >> 7 || length > 2) return false;
    if (ip[4] == 0x52 && prefix == F3) q->op = BF16_DOT;
    else if (ip[4] == 0x72 && prefix == F3) q->op = BF16_NARROW;
    else if (ip[4] == 0x72 && prefix == F2) q->op = BF16_NARROW_2;
    else return false;
    const bool r = !(p0 >> 7 & 1), x = !(p0 >> 6 & 1), b = !(p0 >> 5 & 1), high = !(p0 >> 4 & 1);
    q->bytes = 16 << length;
    q->dst = (ip[5] >> 3 & 7) | r << 3 | high << 4;
    q->src1 = (int)(~p1 >> 3 & 15) | !(p2 >> 3 & 1) << 4;
    q->src2 = (ip[5] & 7) | b << 3 | x << 4;
    q->mask = (int)(p2 & 7);
    q->zeroing = p2 >> 7;
    q->broadcast = p2 >> 4 & 1;
    q->memory = ip[5] >> 6 != 3;
    q->length = 6, q->at = NULL;
    if (q->op == BF16_NARROW && q->src1) return false; /* reserved */
    if ((q->zeroing && !q->mask) || (q->broadcast && !q->memory)) return false;
    if (q->memory) bf16_address(q, ip, g, x, b);
    return true;
}

/* An instruction behind UD2 is emulated whatever the processor has: for tests of this file. */
static void bf16_handle(int signal_number, siginfo_t *info, void *context) {
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    const unsigned char *ip = (const unsigned char *)(uintptr_t)m->gregs[REG_RIP];
    unsigned char *x = (unsigned char *)m->fpregs;
    const int skipped = ip[0] == 0x0f && ip[1] == 0x0b ? 2 : 0;
    bf16_insn q;
    (void)info;
    if (!bf16_decode(ip + skipped, m->gregs, &q) || !x || !bf16_open(x)) {
        sigaction(signal_number, &bf16_state.before, NULL); /* it comes again, to its owner */
        return;
    }
    bf16_do(&q, x);
    m->gregs[REG_RIP] += skipped + q.length;
    bf16_state.count = bf16_state.count + 1;
}

/* From here on the three instructions work, on their own or emulated, in every thread. Returns
 * false when this processor lacks what surrounds them: AVX-512 as in OMMA_CPU_AVX512. */
static inline bool bf16_emulate_begin(void) {
    if (!(omma_cpu_features() & OMMA_CPU_AVX512)) return false;
    bf16_layout();
    bf16_state.count = 0;
    struct sigaction s = {0};
    s.sa_sigaction = bf16_handle;
    s.sa_flags = SA_SIGINFO;
    return !sigaction(SIGILL, &s, &bf16_state.before);
}

static inline void bf16_emulate_end(void) { sigaction(SIGILL, &bf16_state.before, NULL); }

#else
static inline bool bf16_emulate_begin(void) { return false; }
static inline void bf16_emulate_end(void) {}
#endif

#endif
