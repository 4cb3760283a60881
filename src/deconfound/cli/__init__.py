"""The command line, `deconfound`."""

from __future__ import annotations

import signal


def main(arguments: list[str] | None = None) -> None:
    """Run the command line as the whole of this process, see `app.main`.

    Ctrl-C is one line even while the modules are being imported, and a further one changes nothing.
    """
    try:
        from deconfound.cli.outcome import note_interrupts

        note_interrupts()
        from deconfound.cli.app import main as run

        run(arguments)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from deconfound.cli.outcome import interrupted

        raise SystemExit(interrupted()) from None
    except Exception:
        from deconfound.cli.outcome import interrupted, was_interrupted

        if not was_interrupted():  # an import may raise another error when it is interrupted
            raise
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise SystemExit(interrupted()) from None
    except SystemExit as ended:
        if ended.code == 130:  # Ctrl-C
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
