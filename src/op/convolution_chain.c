/* convolution_chain.c - ConvChain: channels-last convolutions one behind the other, which a rule of
 * pass/bands.c joins (last_ops.h).
 *
 *   x: f32 [N, H, W, C]   w, bias of each, as ConvLast's   add, y: what the last one has
 *
 * The weights are packed as ConvLast's are, and shared with it. */
#include "kernel/chain.h"

#include "op/fused.h"
#include "op/last_ops.h"

typedef struct chain_param {
    int n;
    omma_link link[OMMA_CHAIN_MAX]; /* conv and activation; packed by prepare */
    int workers;                    /* threads the working memory is for */
} chain_param;

/* Where the inputs are. */
static int weights_at(int link) { return 1 + 2 * link; }
static int add_at(int links) { return 1 + 2 * links; }

/* --- joining ----------------------------------------------------------------------- */

static bool is_float_conv(const omma_node *n) {
    return n->op == &omma_op_ConvLast && n->in[0]->dtype == OMMA_F32 && n->out[0] &&
           n->out[0]->dtype == OMMA_F32;
}

/* Put the links of n behind those of p; false if n cannot be part of a chain. */
static bool add_links(chain_param *p, const omma_node *n) {
    if (n->op == &omma_op_ConvChain) {
        const chain_param *more = n->param;
        if (p->n + more->n > OMMA_CHAIN_MAX) return false;
        for (int i = 0; i < more->n; i++) p->link[p->n++] = more->link[i];
        return true;
    }
    if (!is_float_conv(n) || p->n == OMMA_CHAIN_MAX) return false;
    omma_link *l = &p->link[p->n++];
    l->conv = *omma_conv_last_geometry(n, &l->e);
    return omma_chain_takes(&l->conv);
}

omma_status omma_conv_chain(omma_build *b, omma_graph *g, const omma_node *before,
                            const omma_node *last, omma_node **chain) {
    const bool longer = before->op == &omma_op_ConvChain;
    chain_param p = {0};
    *chain = NULL;
    if (!add_links(&p, before)) return OMMA_OK;
    const int links = p.n;
    if (omma_in(before, longer ? add_at(links) : 3) || !add_links(&p, last) ||
        !omma_chain_pays(p.link, p.n, omma_workers(b)))
        return OMMA_OK;
    omma_node *n = omma_graph_node(g, &omma_op_ConvChain, last->name, add_at(p.n) + 1, 1);
    chain_param *kept = n ? omma_param(b, n, sizeof *kept) : NULL;
    if (!kept) return omma_nomem(b, last);
    *kept = p;
    for (int i = 0; i < weights_at(links); i++) n->in[i] = omma_in(before, i);
    for (int i = 0; i < 3; i++) n->in[weights_at(links) + i] = omma_in(last, 1 + i);
    n->opset = last->opset, n->offset = last->offset;
    *chain = n;
    return OMMA_OK;
}

/* --- the room ---------------------------------------------------------------------- */

static omma_status chain_infer(omma_build *b, omma_node *n) {
    const chain_param *p = n->param; /* omma_conv_chain's */
    const omma_conv *c = &p->link[p->n - 1].conv;
    return omma_out(b, n, 0, OMMA_F32, 4, (int64_t[]){c->n, c->oh, c->ow, c->m});
}

static omma_status chain_prepare(omma_build *b, omma_node *n) {
    chain_param *p = (chain_param *)n->param;
    p->workers = omma_workers(b);
    for (int i = 0; i < p->n; i++) {
        void *packed;
        OMMA_TRY(omma_conv_last_pack(b, n, n->in[weights_at(i)], &p->link[i].conv, &packed));
        p->link[i].packed = packed;
        n->packed_in |= 1u << weights_at(i);
    }
    if (!omma_chain_scratch(b->kern, p->link, p->n, p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    if (omma_in(n, add_at(p->n))) n->in_place |= 1u << add_at(p->n);
    return OMMA_OK;
}

static omma_status chain_run(const omma_exec *x, const omma_node *n) {
    const chain_param *p = n->param;
    const omma_value *add = omma_in(n, add_at(p->n));
    omma_link links[OMMA_CHAIN_MAX];
    for (int i = 0; i < p->n; i++) {
        const omma_value *bias = n->in[weights_at(i) + 1];
        links[i] = p->link[i];
        links[i].e.col_bias = bias ? bias->mem : NULL;
    }
    links[p->n - 1].e.add = add ? add->mem : NULL;
    links[p->n - 1].e.add_ld = links[p->n - 1].conv.m;
    omma_chain_run(x->kern, x->threads < p->workers ? x->threads : p->workers, links, p->n,
                   n->in[0]->mem, n->out[0]->mem, n->work);
    return OMMA_OK;
}

static double chain_flops(const omma_node *n) {
    const chain_param *p = n->param;
    double sum = 0;
    for (int i = 0; i < p->n; i++) sum += omma_conv_flops(&p->link[i].conv);
    return sum;
}

const omma_op omma_op_ConvChain = {.name = "ConvChain",
                                   .min_in = 2,
                                   .max_in = 2 + 2 * OMMA_CHAIN_MAX,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = chain_infer,
                                   .prepare = chain_prepare,
                                   .run = chain_run,
                                   .flops = chain_flops,
                                   .no_grad = OMMA_MADE_LATE,
                                   .no_field = OMMA_MADE_LATE};
