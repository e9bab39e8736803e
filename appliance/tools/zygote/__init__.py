"""The zygote: a process that imports the entrypoint once and is forked into warm workers.

It may run under another interpreter than the server (Python 3.9 or newer), so this package imports
nothing but the standard library and itself. The server starts `process.main` by the path of the
package, with one argument, a JSON object: `{"entrypoint": path, "control": number of the control
socket, "memory_limit": bytes of address space (0 = no bound)}`. A zygote of the native tools has no
entrypoint but `"native"`, what they may do (see `native.grant`); one whose workers run another
program has `"program"`, its command (see `spawning`).

Over the control socket (one JSON object per packet) the server asks `{"fork": true}` with a stream
socket attached, and `{"reap": pid}`. The zygote says `{"ready": true}` or `{"problem": text}` once,
then `{"forked": pid}` or `{"failed": text}` for each fork in order, and `{"died": pid, "status": n}`
(an exit code, or minus a signal). A dead worker stays a zombie until the server says reap: the
server may kill its process group until then, and the number cannot belong to anybody else.

Over its stream socket a worker serves one call at a time. A frame is four bytes of length, big
endian, and JSON: `{"tool", "arguments", "context", "env"}` one way, `{"output"}` or
`{"failure": {"code", "message", "details"}}` the other way; with `"last": true` beside it, no
further call may be given to this worker. End of file ends the worker.
"""
