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
def short: if . == floor and . > 1 then tostring else fixed(3) end;
def mean: add / length;
def parts($kind): .parts[] | select(.part == $kind);

# The sequences of tokens, and where they lie.
def tokens:
    parts("tokens") | .label
    + ([.grids[] | "  \(.rows) x \(.columns), the first at y \(.first_y) x \(.first_x), "
        + "\(.jump_y) x \(.jump_x) px apart"] | join(""));

# How far each head looks [px], on average over all tokens.
def distances:
    parts("attention") | "\(.label)  \([.distance[] | values | fixed(1) | right(5)] | join("  "))";

# Is it a token, or an object query?
def kind($queries; $sequence): if $queries[$sequence] then "query" else "token" end;

# What the units look at: a share for each token, the mean of all heads, `across` to a line.
def looks($across):
    [parts("tokens").queries] as $q
    | parts("attention") | kind($q; .query) as $kind | .looks[] | select(.looks_at)
    | "\($kind) \(.unit.y) looks at",
      ([.looks_at | transpose[] | mean] | _nwise($across) | map(fixed(2)) | "    " + join("  "));

# The accounts of the units, step by step.
def accounts:
    [parts("tokens").queries] as $q
    | [parts("ledger")] | sort_by(.tokens, .token, .block, -.attention)[]
    | .who = "\(kind($q; .tokens)) \(.token)"
    | .step = (if .attention < 0 then "feed-forward" else "attention" end) + " \(.block)";

# What its new numbers are made of: shares.
def ledger:
    accounts | "\(.who | left(8))  \(.step | left(14))  own \(.own | percent)  "
    + if .attention < 0 then "made    \(.feed_forward | percent)" else "context \(.context | percent)" end
    + "  bias \(.rest | percent)  length \(.norm_before | fixed(2) | right(5))"
    + " -> \(.norm_after | fixed(2) | right(5))  cosine \(.cosine | fixed(3))";

# The n tokens that gave it most.
def sources($n):
    accounts | select(.from) | "\(.who)  \(.step)  from"
    + ([.from | to_entries | sort_by(-.value)[:$n][] | "  \(.key): \(.value | percent)"] | join(""));

# Its numbers, before the first step and behind each, under their names.
def numbers($names):
    ($names / " ") as $n
    | def line($what): ($what | left(26)) + (map(fixed(3) | right(8)) | join(""));
      ("" | left(26)) + ($n | map(right(8)) | join("")),
      ([accounts] | group_by(.who)[]
       | (.[0] | .who as $who | .numbers[:$n | length] | line($who + "  before")),
         (.[] | "\(.who)  \(.step)" as $what | .numbers[($n | length):] | line($what)));

# The model run again with the unit shut off from something: how that moves its numbers behind the
# last step, and the first n effects on the answers.
def silenced($n):
    [accounts] | group_by(.who)[] | last | .who as $who | .silenced[]
    | "\($who)  \({rest: "alone", far: "within \(.radius) px", source: "without \(.source)"}[.cut] | left(12))"
    + "  changed \(.change | percent)  cosine \(.cosine | fixed(3))",
      (.effects[:$n][] | "    \(.label): \(.before | short) -> \(.after | short)");

# A query, layer by layer through the decoder.
def steps($number):
    parts("query") | select(.number == $number) | "query \(.number)",
    (.steps[] | "    \(.label | left(33))\((.name // "") | left(10))"
     + (if .score then .score | fixed(3) else "     " end)
     + "  box" + ([.box[] | fixed(1) | right(7)] | join("")));

# Where it reads, in each layer: points, and the weight of those inside its last box.
def reads($number):
    (parts("query") | select(.number == $number) | .steps[-1].box) as [$left, $top, $right, $bottom]
    | parts("samples") | (.heads * .points) as $n
    | [.place[$number * $n * 2:($number + 1) * $n * 2] | _nwise(2)] as $at
    | .weight[$number * $n:($number + 1) * $n] as $w
    | [range($n) | select($at[.][0] >= $top and $at[.][0] <= $bottom
                          and $at[.][1] >= $left and $at[.][1] <= $right) | $w[.]] as $inside
    | "\(.label): query \($number) reads \($n) points, inside its box"
    + " \($inside | add / ($w | add) | percent) of their weight";
