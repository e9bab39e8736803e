"""The native tools, `cp__*`, as a worker runs them: files, text search, commands and HTTP.

Every function takes the `Grant` first, which says what it may do, then what the task gives by
keyword; None means not given. It returns JSON or raises a Refusal with one of the codes
InvalidArgument, PermissionDenied, FileNotFound, CommandNotAllowed, DeadlineExceeded and Internal.
"""
