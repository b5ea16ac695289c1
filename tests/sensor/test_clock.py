import time

from watchkeeper_sensor.clock import WallClock, measured

SECOND = 10**9


def test_readings_of_an_undisturbed_clock_agree():
    assert abs(measured()[1] - measured()[1]) < 1_000_000


def test_the_moment_before_a_step_is_told_by_the_clock_before_it():
    clock = WallClock()
    began, old = measured()[0], clock.boot_time_ns
    clock.was_set(began + SECOND, began + 6 * SECOND + old)
    assert clock.before(began - SECOND) == clock.before(began + SECOND) == old
    assert clock.before(began + 2 * SECOND) == old + 5 * SECOND


def test_what_somebody_says_that_he_set_moves_no_event():
    clock = WallClock()
    old = clock.boot_time_ns
    clock.was_set(time.clock_gettime_ns(time.CLOCK_BOOTTIME), 7)
    clock.tick()
    assert (clock.boot_time_ns, clock.drift_ns) == (old, 0)
