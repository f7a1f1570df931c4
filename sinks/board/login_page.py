"""The page to log in: one field, in the board's own dress."""

from __future__ import annotations


def login_page(root: str) -> str:
    """The page; `root` leads from its address to the board's."""
    return (
        '<!doctype html>\n<html lang="en" data-view="login">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        "<title>Log in · callboard</title>\n"
        f'<link rel="icon" href="{root}static/icon.svg" type="image/svg+xml">\n'
        f'<link rel="preload" href="{root}static/vendor/inter/inter-latin-wght-normal.woff2" '
        'as="font" type="font/woff2" crossorigin>\n'
        f'<link rel="stylesheet" href="{root}static/css/theme.css">\n'
        f'<link rel="stylesheet" href="{root}static/css/login.css">\n'
        f'<script src="{root}static/js/theme.js"></script>\n'
        f'<script type="module" src="{root}static/js/login.js"></script>\n'
        f'</head>\n<body data-root="{root}">\n'
        '<main id="main">\n'
        f'<p class="brand"><img src="{root}static/icon.svg" alt="" width="40" height="40">'
        "callboard</p>\n"
        "<h1>Log in</h1>\n"
        '<p class="note">With the token that the keeper of this board gave you.</p>\n'
        '<form id="login" method="post" novalidate>\n'
        # Keepers of passwords want a name beside them.
        '<input type="text" name="username" value="callboard" autocomplete="username" hidden>\n'
        '<label for="token">Token</label>\n'
        '<div class="field"><input id="token" name="token" type="password" required '
        'autocomplete="current-password" autocapitalize="none" spellcheck="false" '
        'aria-describedby="said" autofocus>'
        '<button type="button" id="show" aria-pressed="false">Show</button></div>\n'
        '<p id="said" role="alert"></p>\n'
        '<button type="submit" id="enter">Log in</button>\n'
        "</form>\n"
        '<noscript><p class="note">To log in the board needs JavaScript. Programs send the token '
        "as <code>Authorization: Bearer …</code>.</p></noscript>\n"
        "</main>\n</body>\n</html>\n"
    )
