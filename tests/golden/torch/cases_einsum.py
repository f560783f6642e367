# cases_einsum.py - Einsum, against torch.einsum in float64 (numpy.einsum where PyTorch has
# no such type); both agree on every equation here, which is checked as the cases are made.
import numpy as np
import torch

from case_kit import case, node, random_of, steps


def einsum(name, equation, *dims, dtype=np.float32, constant=(), check=True):
    """dims: the operands' shapes; constant: which of them are initializers."""
    rng = random_of("einsum_" + name)
    if np.issubdtype(dtype, np.integer):
        data = [rng.integers(-9, 10, d).astype(dtype) for d in dims]
    else:
        data = [np.asarray(steps(rng, *d, dtype=dtype)) for d in dims]
    wide = [np.asarray(d, np.float64) for d in data]
    y = torch.einsum(equation, [torch.from_numpy(d) for d in wide]).numpy()
    assert np.array_equal(y, np.einsum(equation, *wide))
    assert dtype == np.float16 or np.array_equal(y, y.astype(dtype))
    names = [f"x{i}" for i in range(len(data))]
    case("einsum_" + name, node("Einsum", names, "y", equation=equation),
         {n: d for i, (n, d) in enumerate(zip(names, data)) if i not in constant},
         {"y": y.astype(dtype)},
         {n: d for i, (n, d) in enumerate(zip(names, data)) if i in constant}, check=check)


def make():
    # one operand
    einsum("identity", "ij->ij", [3, 5])
    einsum("transpose", "ij->ji", [3, 5])
    einsum("transpose_implicit", "ba", [3, 5])
    einsum("permute_4d", "nchw->nhwc", [2, 3, 4, 5])
    einsum("permute_implicit", "dbca", [2, 3, 4, 5])
    einsum("sum_all", "ijk->", [3, 4, 5])
    einsum("sum_rows", "ij->i", [4, 7])
    einsum("sum_columns", "ij->j", [4, 7])
    einsum("sum_middle_transpose", "abc->ca", [3, 4, 5])
    einsum("trace", "ii->", [6, 6])
    einsum("trace_implicit", "ii", [6, 6])
    einsum("diagonal", "ii->i", [6, 6])
    einsum("diagonal_batch", "bii->bi", [3, 5, 5])
    einsum("diagonal_batch_ellipsis", "...ii->...i", [3, 2, 5, 5])
    einsum("diagonal_apart", "iji->ij", [4, 3, 4])
    einsum("diagonal_three", "iii->i", [4, 4, 4])
    einsum("diagonal_pair_sum", "iijj->j", [3, 3, 4, 4])
    einsum("ellipsis_transpose", "...ij->...ji", [2, 3, 4, 5])
    einsum("ellipsis_sum", "...i->...", [2, 3, 4])
    einsum("ellipsis_moved", "i...->...i", [4, 2, 3])
    einsum("ellipsis_implicit", "...ba", [2, 3, 4])
    einsum("ellipsis_empty", "...ij->...ji", [3, 4])
    # products of two
    einsum("dot", "i,i->", [9], [9])
    einsum("dot_implicit", "i,i", [9], [9])
    einsum("outer", "i,j->ij", [4], [5])
    einsum("outer_transposed", "i,j->ji", [4], [5])
    einsum("outer_2d", "ij,kl->ikjl", [2, 3], [4, 5])
    einsum("hadamard", "ij,ij->ij", [4, 5], [4, 5])
    einsum("hadamard_transposed", "ij,ji->ij", [4, 5], [5, 4])
    einsum("frobenius", "ij,ij->", [4, 5], [4, 5])
    einsum("matmul", "ij,jk->ik", [5, 7], [7, 3])
    einsum("matmul_implicit", "ij,jk", [5, 7], [7, 3])
    einsum("matmul_a_transposed", "ji,jk->ik", [7, 5], [7, 3])
    einsum("matmul_b_transposed", "ij,kj->ik", [5, 7], [3, 7])
    einsum("matmul_both_transposed", "ji,kj->ik", [7, 5], [3, 7])
    einsum("matmul_result_transposed", "ij,jk->ki", [5, 7], [7, 3])
    einsum("matmul_result_implicit_order", "cb,ba", [5, 7], [7, 3])
    einsum("matmul_33x65x34", "ij,jk->ik", [33, 65], [65, 34])
    einsum("matmul_constant", "ij,jk->ik", [9, 24], [24, 40], constant=[1])
    einsum("matmul_capitals", "aB,Bc->ac", [3, 4], [4, 5])
    einsum("matvec", "ij,j->i", [5, 7], [7])
    einsum("vecmat", "i,ij->j", [5], [5, 7])
    einsum("batch_matmul", "bij,bjk->bik", [3, 4, 5], [3, 5, 6])
    einsum("batch_last", "ijb,jkb->ikb", [4, 5, 3], [5, 6, 3])
    einsum("batch_in_one", "bij,jk->bik", [3, 4, 5], [5, 6])
    einsum("batch_moved", "bij,bjk->ibk", [3, 4, 5], [3, 5, 6])
    einsum("two_contracted", "abcd,cde->abe", [2, 3, 4, 5], [4, 5, 6])
    einsum("two_contracted_swapped", "abcd,dce->abe", [2, 3, 4, 5], [5, 4, 6])
    einsum("sum_before_product", "ijk,jl->il", [3, 4, 5], [4, 6])
    einsum("sum_in_both", "ij,kl->ik", [3, 4], [5, 6])
    einsum("diagonal_times_vector", "ii,i->i", [5, 5], [5])
    einsum("bilinear_half", "bn,anm->bam", [2, 5], [3, 5, 7])
    # ellipsis with broadcasting
    einsum("ellipsis_matmul", "...ij,...jk->...ik", [2, 3, 4, 5], [2, 3, 5, 6])
    einsum("ellipsis_broadcast_1", "...ij,...jk->...ik", [2, 1, 4, 5], [1, 3, 5, 6])
    # PyTorch broadcasts ellipses of different rank and exports them; ONNX wants one rank.
    einsum("ellipsis_broadcast_rank", "...ij,...jk->...ik", [2, 3, 4, 5], [5, 6], check=False)
    einsum("ellipsis_implicit_matmul", "...ij,...jk", [2, 3, 4, 5], [3, 5, 6], check=False)
    einsum("ellipsis_one_sided", "...i,ij->...j", [2, 3, 5], [5, 4])
    einsum("ellipsis_outer", "b...,c...->...bc", [3, 4, 5], [2, 4, 5])
    einsum("ellipsis_behind", "ij...,jk...->ik...", [3, 4, 2], [4, 5, 2])
    # attention, relative positions, mask heads
    einsum("attention_scores", "bhqd,bhkd->bhqk", [2, 3, 7, 8], [2, 3, 9, 8])
    einsum("attention_values", "bhqk,bhkd->bhqd", [2, 3, 7, 9], [2, 3, 9, 8])
    einsum("attention_scores_heads_inside", "bqhd,bkhd->bhqk", [2, 7, 3, 8], [2, 9, 3, 8])
    einsum("attention_values_heads_inside", "bhqk,bkhd->bqhd", [2, 3, 7, 9], [2, 9, 3, 8])
    einsum("relative_height", "bhwc,hkc->bhwk", [2, 5, 4, 8], [5, 5, 8])
    einsum("relative_width", "bhwc,wkc->bhwk", [2, 5, 4, 8], [4, 6, 8])
    einsum("detr_mask_head", "bqnc,bnchw->bqnhw", [1, 4, 3, 8], [1, 3, 8, 5, 6])
    einsum("mask_embedding", "bqc,bchw->bqhw", [2, 5, 8], [2, 8, 6, 7])
    einsum("channel_attention", "nct,ncp->ntp", [2, 16, 9], [2, 16, 11])
    einsum("contrastive", "bchw,bkc->bkhw", [2, 8, 4, 5], [2, 3, 8])
    # three operands and more
    einsum("chain", "ij,jk,kl->il", [3, 4], [4, 5], [5, 6])
    einsum("bilinear", "bn,anm,bm->ba", [2, 5], [3, 5, 7], [2, 7])
    einsum("three_vectors", "i,j,k->ijk", [2], [3], [4])
    einsum("three_shared", "i,i,i->i", [7], [7], [7])
    einsum("three_ellipsis", "...i,...i,i->...", [2, 3, 5], [3, 5], [5], check=False)
    einsum("four", "ab,bc,cd,de->ae", [2, 3], [3, 4], [4, 3], [3, 2])
    # spaces, sizes of one and of nothing, other types
    einsum("spaces", " b i j , b j k -> b i k ", [2, 3, 4], [2, 4, 5])
    einsum("ones", "ij,jk->ik", [1, 1], [1, 1])
    einsum("empty_sum", "ij,jk->ik", [3, 0], [0, 4])
    einsum("empty_result", "ij,jk->ik", [0, 3], [3, 4])
    einsum("scalar_product", ",ij->ij", [], [3, 4])
    einsum("f64", "bij,bjk->bik", [2, 3, 4], [2, 4, 5], dtype=np.float64)
    einsum("f16", "bij,bjk->bik", [2, 3, 4], [2, 4, 5], dtype=np.float16)
    einsum("i32", "ij,jk->ik", [3, 4], [4, 5], dtype=np.int32)
    einsum("i64_trace", "ii->", [5, 5], dtype=np.int64)
