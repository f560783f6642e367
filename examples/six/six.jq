# six.jq - what docs/six-questions.md prints of `omma look --json`:
#     omma look PICTURE -m MODEL --unit token:5 --json | jq -L. -r 'include "six"; ledger'

# With n decimals.
def fixed($n):
    . as $x | pow(10; $n) as $p | ($x * $p | fabs | round) as $i
    | (if $x < 0 and $i > 0 then "-" else "" end) + ($i / $p | floor | tostring)
    + if $n > 0 then "." + ($i % $p + $p | tostring)[1:] else "" end;
def right($n): tostring | (if length < $n then ($n - length) * " " else "" end) + .;
def left($n): tostring | . + (if length < $n then ($n - length) * " " else "" end);
def percent: "\(. * 100 | fixed(1) | right(5)) %";
def mean: add / length;
def parts($kind): .parts[] | select(.part == $kind);

# The sequences of tokens, and where they lie.
def tokens:
    parts("tokens") | .label
    + ([.grids[] | "  \(.rows) x \(.columns), the first at y \(.first_y) x \(.first_x), "
        + "\(.jump_y) x \(.jump_x) px apart"] | join(""));

# How far each head looks [px], on average over all tokens.
def distances:
    parts("attention") | "\(.label)  \([.distance[] | values | fixed(0)] | join("  "))";

# What the units look at: a share for each token, the mean of all heads, `across` to a line.
def looks($across):
    parts("attention") | .label as $name | .looks[] | select(.looks_at) | .unit.y as $t
    | "\($name): \($t) looks at",
      ([.looks_at | transpose[] | mean] | _nwise($across) | map(fixed(2)) | "    " + join("  "));

def accounts: [parts("ledger")] | sort_by(.tokens, .token, .block, -.attention)[];
def block: "token \(.token), block \(.block): ";

# The account of each unit, step by step: what its new numbers are made of.
def ledger:
    accounts | block
    + if .attention < 0 then "feed-forward  own \(.own | percent)  made    \(.feed_forward | percent)"
      else "attention     own \(.own | percent)  context \(.context | percent)" end
    + "  bias \(.rest | percent)  length \(.norm_before | fixed(2)) -> \(.norm_after | fixed(2))"
    + "  cosine \(.cosine | fixed(3))";

# The n tokens that gave it most.
def sources($n):
    accounts | select(.from) | block + "from"
    + ([.from | to_entries | sort_by(-.value)[:$n][] | "  \(.key): \(.value | percent)"] | join(""));

# Its numbers before and after each step, under their names.
def numbers($names):
    ($names / " ") as $n
    | ("" | left(36)) + ($n | map(right(8)) | join("")),
      (accounts | (block + (if .attention < 0 then "feed-forward" else "attention" end)) as $step
       | .numbers | _nwise($n | length) | map(fixed(2) | right(8)) | join("")
       | ($step | left(36)) + .);
