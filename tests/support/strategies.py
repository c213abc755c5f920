"""What hypothesis draws: valid phases, plans and milestones, and junk."""

from fractions import Fraction

from hypothesis import strategies as st

from difflr import Phase, Plan

rates = st.floats(1e-8, 10.0)
shares = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0]) | st.floats(0.0, 1.0)
factors = st.floats(0.5, 1e5)


@st.composite
def phases(draw, n_splits: int, max_epochs: int = 3) -> Phase:
    """A valid phase; LRs above 0 exactly where it trains."""
    first = draw(st.integers(-n_splits, n_splits - 1))
    frozen = draw(st.sets(st.integers(0, n_splits - 1), max_size=1)) if n_splits > 1 else set()
    trains = [i >= first % n_splits and i not in frozen for i in range(n_splits)]
    if not any(trains):
        frozen, trains = set(), [i >= first % n_splits for i in range(n_splits)]
    return Phase(
        freeze_to=first,
        epochs=draw(st.integers(1, max_epochs)),
        lrs=[draw(rates) if t else 0.0 for t in trains],
        pct_start=draw(shares),
        div_factor=draw(factors),
        final_div_factor=draw(factors),
        frozen=frozen,
    )


@st.composite
def plans(draw) -> Plan:
    """A valid plan for up to four splits."""
    n_splits = draw(st.integers(1, 4))
    return Plan(
        draw(st.lists(phases(n_splits), min_size=1, max_size=4)),
        anneal=draw(st.sampled_from(["cos", "linear"])),
        base_momentum=draw(st.floats(0.0, 0.99)),
        max_momentum=draw(st.floats(0.0, 0.99)),
        cycle_momentum=draw(st.booleans()),
    )


@st.composite
def milestones(draw) -> dict:
    """A valid dictionary in the form of the 2020 recipe, in any order."""
    n_splits = draw(st.integers(1, 6))
    found, epoch = [], 1
    for _ in range(draw(st.integers(1, 5))):
        first = draw(st.integers(-n_splits, n_splits - 1))
        entry = {
            "freeze_to": first,
            "duration": draw(st.integers(1, 4)),
            "pct_start": draw(shares),
            "lrs": [draw(rates) if i >= first % n_splits else 0.0 for i in range(n_splits)],
        }
        if draw(st.booleans()):
            entry["div_factor"] = draw(st.floats(1.0, 24.0))
        found.append((epoch, entry))
        epoch += entry["duration"]
    return dict(draw(st.permutations(found)))


numbers = (
    st.integers(-3, 8)
    | st.floats()
    | st.sampled_from([True, False, 10**400, -(10**4000), 1e-320, 1e308, Fraction(1, 3), 2 + 1j])
)
scalars = numbers | st.none() | st.text(max_size=5) | st.binary(max_size=3)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(-1, 4) | st.text(max_size=3), inner, max_size=3)
        | st.frozensets(st.integers(0, 3), max_size=3)
    ),
    max_leaves=8,
)
