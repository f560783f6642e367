/* winograd.h - inside the kernels' room: the constants of Winograd's F(4x4,3x3), see winograd.c.
 *
 * The points are 0, A, -A, B, -B and infinity. A tile of input d [6] becomes B^T d, weights g [3]
 * become G g, and A^T makes the outputs [4] of their products; in two dimensions along columns and
 * rows. With p for each finite point, N(p) the product of its distances to the other four:
 *
 *     B^T = AABB   0    -(AA+BB)   0       1  0        A^T = 1   1    1    1    1   0
 *           0   -A BB     -BB      A       1  0              0   A   -A    B   -B   0
 *           0    A BB     -BB     -A       1  0              0   A^2  A^2  B^2  B^2 0
 *           0   -B AA     -AA      B       1  0              0   A^3 -A^3  B^3 -B^3 1
 *           0    B AA     -AA     -B       1  0        G = rows (1, p, p^2) / N(p), (0, 0, 1)
 *           0    AABB      0    -(AA+BB)   0  1
 *
 * All numbers of B^T and A^T are exact in float32. In G rows of p and -p differ in the sign of the
 * second number alone. */
#ifndef OMMA_KERNEL_WINOGRAD_H
#define OMMA_KERNEL_WINOGRAD_H

#define WINO_A 0.625
#define WINO_B 1.5

/* G's first number, and of the rows of A and B the first of three, which grow by the factor p */
#define WINO_G_0 (1 / (WINO_A * WINO_A * WINO_B * WINO_B))
#define WINO_G_A (1 / (2 * WINO_A * WINO_A * (WINO_A * WINO_A - WINO_B * WINO_B)))
#define WINO_G_B (1 / (2 * WINO_B * WINO_B * (WINO_B * WINO_B - WINO_A * WINO_A)))

enum {
    WINO_OUT = 4,     /* side of a tile of output [px] */
    WINO_IN = 6,      /* of input */
    WINO_PLANES = 36, /* products of a tile and a channel */
    WINO_PAD = 16     /* channels of a transformed tile are rounded up to this */
};

#endif
