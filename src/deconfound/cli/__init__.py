"""The command line, `deconfound`."""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> None:
    """Run the command line as the whole of this process, see `app.main`.

    Ctrl-C is one line even while the modules are being imported, and a further one changes nothing.
    """
    try:
        from deconfound.cli.outcome import INTERRUPTED, ignore_interrupts, note_interrupts

        note_interrupts()
        from deconfound.cli.app import main as run

        run(arguments)
    except KeyboardInterrupt:
        from deconfound.cli.outcome import ignore_interrupts, interrupted

        ignore_interrupts()
        raise SystemExit(interrupted()) from None
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            ignore_interrupts()
        raise
