# SPDX-License-Identifier: MIT
"""What the plugin and pppd see of each other's names.

pppd exports some 300 names, among them info, error, timeout and lock, and loads plugins into the
global scope. A name of ours that pppd, or another plugin, has too would be taken for theirs; so
would a name in a library that we bring along.
"""
import os
import re
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("RASIP_BUILD", os.path.join(TOP, "build"))
PLUGIN = os.path.join(BUILD, "rasip.so")
PPPD = "/usr/sbin/pppd"


def names(path, *options):
    """The dynamic symbols of a file without their versions."""
    text = subprocess.run(
        ["nm", "-D", "--format=posix", *options, path], check=True, capture_output=True, text=True
    ).stdout
    return {line.split()[0].split("@")[0] for line in text.splitlines()}


def all_libraries(path):
    """The libraries that a file is loaded with: name and path."""
    text = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(\S+) => (/\S+)", text)


def libraries(path):
    """The same by path, without those of the C library and the compiler."""
    own = re.compile(r"lib(c|m|dl|pthread|rt|resolv|gcc_s|asan|ubsan)\.so")
    return [where for name, where in all_libraries(path) if not own.match(name)]


@unittest.skipUnless(os.access(PPPD, os.R_OK), PPPD + " cannot be read")
class Symbols(unittest.TestCase):
    def test_the_plugin_shows_pppd_two_names_and_no_more(self):
        self.assertEqual(names(PLUGIN, "--defined-only"), {"plugin_init", "pppd_version"})

    def test_whatever_the_plugin_leaves_open_somebody_has(self):
        have = names(PPPD, "--defined-only")
        for _, library in all_libraries(PLUGIN):
            have |= names(library, "--defined-only")
        weak = ("_ITM_", "__gmon_start__")
        open_names = {n for n in names(PLUGIN, "--undefined-only") if not n.startswith(weak)}
        self.assertEqual(open_names - have, set())

    def test_no_library_of_ours_meets_a_name_of_pppd(self):
        pppd = names(PPPD, "--defined-only")
        # What every program exports by itself, or takes over from the C library.
        pppd -= {"stdin", "stdout", "stderr", "environ", "__environ", "_environ"}
        pppd -= {"_IO_stdin_used", "__bss_start", "__data_start", "_edata", "_end", "data_start"}
        pppd -= {"main", "_start", "_init", "_fini", "optarg", "optind", "opterr"}
        for library in libraries(PLUGIN):
            with self.subTest(library=library):
                self.assertEqual(pppd & names(library, "--undefined-only"), set())
                self.assertEqual(pppd & names(library, "--defined-only"), set())


if __name__ == "__main__":
    unittest.main()
