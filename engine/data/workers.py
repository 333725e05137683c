"""What became of the processes that read data, in the sentences of our errors."""

from __future__ import annotations

import re
from concurrent.futures.process import BrokenProcessPool

from engine.errors import MMSapiensError, ProcessError

# As torch.utils.data says it, from wherever the main process is when a worker ends.
_ENDED = re.compile(
    r"DataLoader worker \(pid.*? (\d[\d, ]*)\) (?:is killed by signal: ([\w ]+)|exited)"
)
_RAISED = re.compile(
    r"Caught \w+ in DataLoader worker process .*^engine\.errors\.\w+: ", re.MULTILINE | re.DOTALL
)
_FEWER = "use fewer such processes (num_workers of the config's data loaders, --num-workers)"
_CAUSES = {
    "Killed": f"The system does so when memory runs out: {_FEWER}, or smaller images.",
    "Bus error": f"Their shared memory is full: enlarge /dev/shm (docker --shm-size) or {_FEWER}.",
}


def explain(error: Exception) -> Exception:
    """Returns one of our errors if an error says that a data worker failed; else the error itself.

    What a worker raises arrives with its traceback in the message, which is left out.
    """
    if isinstance(error, MMSapiensError):
        told = _RAISED.match(str(error))
        return type(error)(str(error)[told.end() :].strip()) if told else error
    # The cause names the signal, if the loader itself says only that the process is gone.
    texts = [str(e) for e in (error.__cause__, error) if isinstance(e, RuntimeError)]
    ended = next(filter(None, map(_ENDED.search, texts)), None)
    if ended is None and not isinstance(error, BrokenProcessPool):
        return error
    who, signal = (f" (process {ended[1]})", ended[2]) if ended else ("", None)
    how = f"was ended by the system: {signal}" if signal else "has ended"
    cause = _CAUSES.get(signal or "Killed", "A file that crashes its decoder may be the reason.")
    return ProcessError(f"A process that reads data{who} {how}. {cause}")
