"""Paths that lead out of where they begin, in every spelling that somebody once fell for."""

from __future__ import annotations

from itertools import product

_UP = ("..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
       "..;", ". .", "..%20", "%ef%bc%8e%ef%bc%8e", "%e2%80%a5", "....", "..%5c..", "%u002e%u002e")  # fmt: skip
_SLASH = ("/", "%2f", "%5c", "\\", "%252f", "%c0%af", "%ef%bc%8f", "%e2%88%95", "//", "/./")
_TARGET = "etc{s}passwd"
_MORE = (
    "/etc/passwd", "//etc/passwd", "///etc/passwd", "%2fetc%2fpasswd", "\\etc\\passwd", "file:///etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd", "/proc/self/environ", "/proc/self/root/etc/passwd", "/dev/stdin",
    "/proc/self/fd/3", "~/.ssh/id_rsa", "~root", "$HOME", "${HOME}", "`id`", "$(id)", "|id", ";id", "&&id",
    "C:\\Windows\\win.ini", "C:/Windows/win.ini", "c:", "\\\\host\\share", "//host/share", "CON", "NUL.txt",
    "data/admin.key", "../data/admin.key", "./data/admin.key", "data//admin.key", "data/./admin.key",
    "app.db", "./app.db", "../app.db", "app.db-wal", ".env", "../.env", "./.env", ".git/config", "compozy.yaml",
    "../compozy.yaml", "admin.key", "admin.key%00.zip", "admin.key%0a.zip", "..%0d%0a", ".", "..", "...", "./",
    "../", "%2e", "%2e%2e", "%2e/", " ", "%20", "%00", "%0a", "*", "?", "#", "[a-z]*", "{a,b}", "a" * 255,
    "a" * 4_097, "a/" * 300, "../" * 200, "%2e%2e%2f" * 100, "x/../../../../../../etc/passwd",
    "x/%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fdata%2fadmin.key", "..%5c..%5cdata%5cadmin.key",
    "compozy-20261121T090000Z-01234567.zip/../admin.key", "compozy-20261121T090000Z-01234567.zip%00",
    "compozy-20261121T090000Z-01234567.zip%2f..%2f..%2fadmin.key", "..%2fadmin.key", "../admin.key",
)  # fmt: skip

CORPUS = tuple(
    dict.fromkeys(
        [
            *_MORE,
            *((up + slash) * 6 + _TARGET.format(s=slash) for up, slash in product(_UP, _SLASH)),
        ]
    )
)
"""More than 200 of them, as they stand in an address."""
