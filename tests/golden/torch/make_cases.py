#!/usr/bin/env python3
"""Make cases.tgz: conformance cases whose expected numbers come from PyTorch and numpy.

    python3 make_cases.py [OUTPUT]        default: cases.tgz beside this file

README.md says with which versions, and what is checked here as the cases are made.
"""
import os
import sys

import torch

import case_kit
import cases_cast
import cases_control
import cases_conv
import cases_einsum
import cases_flow
import cases_grid
import cases_resize


def main():
    torch.set_num_threads(1)
    here = os.path.dirname(os.path.abspath(__file__))
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "cases.tgz")
    for module in (cases_conv, cases_cast, cases_einsum, cases_grid, cases_resize, cases_control,
                   cases_flow):
        before = len(case_kit.cases)
        module.make()
        print(f"{module.__name__}: {len(case_kit.cases) - before} cases")
    case_kit.pack(path)
    print(f"{len(case_kit.cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
