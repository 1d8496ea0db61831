"""What a session may rely on with a plain transport it may rely on here: the same scenarios, encrypted."""

from inspect import signature

from tests.unit._ext.io import test_pump, test_ring, test_transport

# Urgent bytes lie outside of what TLS protects; what was not taken must be offered again; a batched read that
# a test plays is played for TLS beside.
ONLY_PLAIN = {
    "test_try_write_keeps_nothing_and_says_when_to_go_on",
    "test_urgent_data_does_not_make_a_short_read_look_drained",
    "test_an_error_of_a_batched_read_ends_the_connection_with_that_error",
    "test_other_outcomes_of_a_batched_read_lose_nothing",
}

tunnel = test_pump.tunnel


def is_about_connections(scenario: object) -> bool:
    return callable(scenario) and bool({"pair", "tunnel"} & signature(scenario).parameters.keys())


for module in (test_transport, test_pump, test_ring):
    for name, scenario in vars(module).items():
        if name.startswith("test_") and name not in ONLY_PLAIN and is_about_connections(scenario):
            globals()[name] = scenario
