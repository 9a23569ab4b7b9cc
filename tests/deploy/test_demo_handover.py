"""What the demo leaves for a person: a file that a shell reads, whatever is in it."""

from __future__ import annotations

import subprocess

from deploy.demo.handover import shell_text


def test_a_shell_reads_what_was_written_and_nothing_of_it_runs() -> None:
    said = {
        "ANIMUS_AUTH_TOKEN": "a'b $(exit 1) `exit 1` \"\\",
        "ANIMUS_ENGINE": "env A=b podman --root '/x y'",
        "PATH": "/of the checkout/bin:",
    }
    show = 'printf "%s\\n" "$ANIMUS_AUTH_TOKEN" "$ANIMUS_ENGINE" "$PATH"'
    read = subprocess.run(
        ["/bin/sh", "-euc", shell_text(said) + show],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert read.stdout.splitlines() == [
        said["ANIMUS_AUTH_TOKEN"], said["ANIMUS_ENGINE"], "/of the checkout/bin:/usr/bin:/bin",
    ]  # fmt: skip
