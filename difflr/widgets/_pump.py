"""Let buttons work while a cell runs: take the widgets' messages from the kernel's queue.

A kernel reads its queue between cells, so a press of Stop would wait until training is over.
``pump`` reads it in the middle: messages of widgets are answered at once, all others (cells that
wait to be run) go back in their order. JupyterLab with ipykernel 7 answers widgets in a thread of
their own and does not need it; Colab (ipykernel 6) and others do.
"""

import logging
import threading
from typing import Any

__all__ = ["in_notebook", "pump"]

_COMMS = ("comm_open", "comm_msg", "comm_close")
_log = logging.getLogger(__name__)


def in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel."""
    return _kernel() is not None


def pump() -> int:
    """Answer the widget messages that have come in; return how many there were.

    Does nothing outside a kernel, or outside the thread that the kernel runs cells in.
    """
    kernel = _kernel()
    if kernel is None or threading.current_thread() is not threading.main_thread():
        return 0
    try:
        stream = _shell_stream(kernel)
        messages = _waiting(stream)
    except Exception:  # a kernel of another make must not end the training
        _log.debug("This kernel does not let its queue be read.", exc_info=True)
        return 0
    answered = 0
    for raw in messages:
        idents, frames = kernel.session.feed_identities(raw, copy=False)
        # Peek at the header only: a message that is taken apart twice counts as forged.
        kind = kernel.session.unpack(frames[1].bytes)["msg_type"]
        if kind in _COMMS:
            _answer(kernel, stream, idents, frames, kind)
            answered += 1
        else:
            kernel.io_loop.add_callback(stream._recv_callback, raw)
    return answered


def _kernel() -> Any:
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def _shell_stream(kernel: Any) -> Any:
    """Return the stream on which the main thread gets its messages."""
    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None:
        return kernel.shell_stream
    # ipykernel 7 reads the socket in a thread and hands on what is for the main thread.
    return thread.manager.get_shell_channel_to_subshell_pair(None).to_stream


def _waiting(stream: Any) -> list[Any]:
    """Take all messages from the stream that have arrived, in their order."""
    import zmq

    messages = []
    while True:
        try:
            messages.append(stream.socket.recv_multipart(zmq.NOBLOCK, copy=False))
        except zmq.Again:
            return messages


def _answer(kernel: Any, stream: Any, idents: Any, frames: Any, kind: str) -> None:
    """Do what the kernel's own dispatch does, then return to the cell that is running."""
    message = kernel.session.deserialize(frames, content=True, copy=False)
    cell = kernel._parent_ident["shell"], kernel.get_parent("shell")
    kernel.set_parent(idents, message, channel="shell")
    # A front end sends no further change of a slider before it has seen idle.
    kernel._publish_status("busy", "shell")
    try:
        kernel.shell_handlers[kind](stream, idents, message)
    except Exception:
        _log.exception("Error in a widget's callback")
    finally:
        kernel._publish_status("idle", "shell")
        kernel.set_parent(*cell, channel="shell")
