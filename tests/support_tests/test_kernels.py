"""The runner of other kernels, in its pure parts: which package holds a series' newest kernel, what a module needs, how a run is judged."""

import struct
import subprocess

import pytest
from tests.support.kernels.guest import printable
from tests.support.kernels.matrix import SUITES, KernelsError, Package, kernel_packages, listed, module_package, newest, series_of
from tests.support.kernels.packages import module_dependencies, vmlinux
from tests.support.kernels.results import Outcome, complaints, judge

NAMES = {
    "linux-image-6.1.0-9-cloud-amd64",
    "linux-image-6.1.0-56-cloud-amd64",
    "linux-image-6.1.0-56-cloud-amd64-unsigned",
    "linux-image-6.1.0-56-amd64",
    "linux-image-6.12.118+deb13-cloud-amd64",
    "linux-image-cloud-amd64",
    "linux-headers-6.1.0-56-cloud-amd64",
    "linux-image-7.3.4+deb13-cloud-amd64",
    "linux-binary-7.3.4+deb13-cloud-amd64",
    "linux-binary-7.3-rc4-cloud-amd64",
}
MADISON = """\
 linux-image-6.1.0-9-cloud-amd64 | 6.1.27-1 | http://mirror/debian bookworm/main amd64 Packages
linux-image-6.1.0-56-cloud-amd64 | 6.1.192-2 | http://mirror/debian-security bookworm-security/main amd64 Packages
linux-image-6.1.0-99-cloud-amd64 | 6.1.999-1 | http://mirror/debian bullseye-security/main amd64 Packages
linux | 6.1.192-2 | http://mirror/debian bookworm/main Sources
"""


def test_a_series_is_held_by_its_signed_cloud_images_alone():
    assert kernel_packages("6.1", NAMES) == ["linux-image-6.1.0-56-cloud-amd64", "linux-image-6.1.0-9-cloud-amd64"]


def test_a_package_of_dependencies_gives_way_to_the_one_with_the_kernel():
    assert kernel_packages("7.3", NAMES) == ["linux-binary-7.3.4+deb13-cloud-amd64"]
    assert module_package("linux-binary-7.3.4+deb13-cloud-amd64") == "linux-modules-7.3.4+deb13-cloud-amd64"
    assert module_package("linux-image-6.1.0-56-cloud-amd64") is None


def test_the_newest_is_by_numbers_and_of_the_suites_of_the_table():
    assert newest("6.1", listed(MADISON), NAMES) == Package("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", "bookworm-security")


def test_a_rebuild_for_an_older_suite_is_as_new_as_what_it_was_built_from():
    packages = [Package("a", "6.18.9-1~bpo13+99", "trixie-backports"), Package("b", "6.18.15-1~bpo13+1", "trixie-backports")]
    assert newest("6.18", packages, NAMES).name == "b"


def test_a_series_that_the_mirror_lost_is_refused_with_what_it_has():
    with pytest.raises(KernelsError, match=r"no kernel 6\.18 in trixie-backports; of all suites it has 6\.1, 6\.12, 7\.3"):
        newest("6.18", [], NAMES)


def test_kernels_are_named_by_series_and_all_means_the_table():
    assert series_of(["6.12", "5.10", "6.12"]) == ["6.12", "5.10"]
    assert series_of([]) == series_of(["5.10", "all"]) == list(SUITES)
    with pytest.raises(KernelsError, match=r"no such kernel: 4\.19"):
        series_of(["4.19"])


def test_a_module_names_what_it_depends_on():
    assert module_dependencies(b"\x7fELF\0license=GPL\0depends=llc,stp-x\0retpoline=Y\0") == ["llc", "stp_x"]
    assert module_dependencies(b"depends=\0name=overlay\0") == []
    with pytest.raises(KernelsError):
        module_dependencies(b"\x7fELF")


def test_the_kernel_is_found_inside_its_image_in_spite_of_the_size_after_it():
    elf = b"\x7fELF" + bytes(range(256)) * 40
    payload = subprocess.run(["gzip", "-c"], input=elf, check=True, capture_output=True).stdout + struct.pack("<I", len(elf))
    image = bytearray(2 * 512 + 64)
    image[0x1F1] = 1
    image[0x248:0x250] = struct.pack("<II", 64, len(payload))
    assert vmlinux(bytes(image) + payload) == elf
    with pytest.raises(KernelsError, match="not known"):
        vmlinux(bytes(image) + b"?" * len(payload))


def test_a_console_obeys_nothing_that_a_guest_prints():
    assert printable("\x1b[2Jgone\r\n") == "\\x1b[2Jgone"


PASSED = Outcome("t::one", "passed", "")
SKIPPED = Outcome("t::two[x]", "skipped", "this kernel has no such thing: errno 5")

JUDGED = {
    "an expected skip is well": ([PASSED, SKIPPED], {"t::two*": "no such thing"}, []),
    "a skip that no row has": ([PASSED, SKIPPED], {}, ["t::two[x]: skipped, which is not expected: this kernel has no such thing: errno 5"]),
    "a skip for another reason": (
        [SKIPPED],
        {"t::two*": "too old"},
        [
            "t::two*: expected to be skipped (too old), and no such test was",
            "t::two[x]: skipped, which is not expected: this kernel has no such thing: errno 5",
        ],
    ),
    "a row that holds no longer": ([PASSED], {"t::one": "too old"}, ["t::one: expected to be skipped (too old), and no such test was"]),
    "a row of tests that were not asked for": ([PASSED], {"t::three": "too old"}, []),
    "brackets of a test's name are letters": ([SKIPPED], {"t::two[x]": "no such thing"}, []),
    "a failure": ([Outcome("t::one", "failure", "assert 1 == 2\nmore")], {}, ["t::one: failure: assert 1 == 2"]),
    "an error is no pass, nor excused by a row": (
        [Outcome("t::one", "error", "boom")],
        {"t::one": "boom"},
        ["t::one: error: boom", "t::one: expected to be skipped (boom), and no such test was"],
    ),
    "a run of nothing": ([], {}, ["no test ran"]),
}


@pytest.mark.parametrize(("rows", "expected", "said"), JUDGED.values(), ids=JUDGED.keys())
def test_a_run_is_judged_by_its_skips(rows, expected, said):
    assert complaints(rows, expected) == said


def test_reports_and_rows_for_all_kernels_are_read(tmp_path):
    (tmp_path / "6.1").mkdir()
    (tmp_path / "6.1" / "junit.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.bpf.test_x" name="test_a"/>'
        '<testcase classname="tests.bpf.test_x" name="test_b[1]"><skipped message="old"/></testcase>'
        '<testcase classname="tests.bpf.test_x" name="test_c"><skipped message="never"/></testcase></testsuite></testsuites>'
    )
    table = tmp_path / "expected.toml"
    table.write_text('[all]\n"*::test_c" = "never"\n["6.1"]\n"tests.bpf.test_x::test_b*" = "old"\n')
    assert judge(tmp_path, table, "6.1") == ("1 passed, 2 skipped", [])
    assert judge(tmp_path, table, "7.3") == ("no report", ["the run left no junit.xml"])
