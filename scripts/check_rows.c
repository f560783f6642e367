/* check_rows.c - run at the end of a build: every row of the table of operators has what a row must
 * have. Exit 1 and a line per fault. */
#include <stdio.h>

#include "op/op.h"

int main(void) {
    int n, bad = 0;
    const omma_op *const *ops = omma_op_all(&n);
    for (int i = 0; i < n; i++) {
        const char *fault = omma_op_fault(ops[i]);
        if (fault) fprintf(stderr, "src/op: operator %s has %s\n", ops[i]->name, fault), bad = 1;
    }
    return bad;
}
