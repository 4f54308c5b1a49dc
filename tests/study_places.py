"""Every place of a study, and values that none of them takes."""

from hypothesis import strategies as st

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2000)
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ffg", "point", "grid", "pretrained", "digits", "lenet5", "1e-3", "a\n"])
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4)
            | st.sampled_from(["kind", "training", "epochs", "family", "parts"])
            | st.booleans()
            | st.integers(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def places(value):
    """Return every (container, key) in a nested value."""
    keys = value if isinstance(value, dict) else range(len(value))
    own = [(value, key) for key in keys]
    inner = [value[key] for key in keys if isinstance(value[key], dict | list)]
    return own + [place for child in inner for place in places(child)]
