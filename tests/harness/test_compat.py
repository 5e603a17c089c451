# SPDX-License-Identifier: MIT
"""The plugin still compiles for pppd 2.5 on a machine that has only 2.4.9's headers."""
import glob
import os
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wshadow", "-Wconversion"]
FLAGS += ["-Wsign-conversion", "-Wcast-qual", "-Wundef", "-Wredundant-decls", "-Werror"]


class Compat(unittest.TestCase):
    def check(self, *include):
        command = [os.environ.get("CC", "cc"), *FLAGS]
        for directory in ("plugin", "pool", "pool/base"):
            command += ["-iquote", directory]
        sources = ["plugin/plugin.c", *glob.glob("plugin/pppd_*.c", root_dir=TOP)]
        self.assertGreater(len(sources), 1)
        done = subprocess.run(
            [*command, *include, "-fsyntax-only", *sources],
            cwd=TOP,
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_pppd_2_5(self):
        self.check("-isystem", "tests/compat/pppd-2.5/include")

    @unittest.skipUnless(os.path.exists("/usr/include/pppd/pppd.h"), "no headers of pppd")
    def test_the_installed_pppd(self):
        self.check()


if __name__ == "__main__":
    unittest.main()
