"""What people read: templates of messages, in the language Alertmanager and Grafana share.

A message says what, where, since when, with which numbers, and links to the calls that caused it.
All facts are annotations; a template only prints them. Names begin with `callboard.`, so that they
meet no template of the deliverer itself.
"""

from __future__ import annotations

_SINCE = '{{ .StartsAt.UTC.Format "2006-01-02 15:04:05" }} UTC'
_UNTIL = '{{ .EndsAt.UTC.Format "2006-01-02 15:04:05" }} UTC'

_SUBJECT = """\
{{ define "callboard.subject" -}}
{{ if eq .Status "firing" }}{{ .CommonLabels.severity | toUpper }}{{ else }}RESOLVED{{ end }} \
{{ .CommonLabels.alertname }}\
{{ with .CommonLabels.site }} {{ . }}{{ end }}{{ with .CommonLabels.queue }} {{ . }}{{ end }}\
{{ with .CommonLabels.team }} {{ . }}{{ end }}
{{- end }}
"""

_NUMBERS = (
    "{{ .Annotations.numerator }} / {{ .Annotations.denominator }} = {{ .Annotations.value }}, "
    "target {{ .Annotations.target }}"
)


def _alerts(before: str, link: str) -> str:
    """Firing and resolved alerts; `link` prints an address under a word."""
    return f"""\
{{{{ range .Alerts.Firing }}}}{before}FIRING: {{{{ .Annotations.summary }}}}
{{{{ .Annotations.description }}}}
Since: {_SINCE}
Numbers: {_NUMBERS}
{link}
{{{{ end }}}}{{{{ range .Alerts.Resolved }}}}{before}RESOLVED: {{{{ .Annotations.summary }}}}
From {_SINCE} until {_UNTIL}. Last: {_NUMBERS}
{link}
{{{{ end }}}}"""


_PLAIN = """\
Calls: {{ .Annotations.explain_url }}
Board: {{ .Annotations.board_url }}
Dashboard: {{ .Annotations.dashboard_url }}
Runbook: {{ .Annotations.runbook_url }}"""
_SLACK = (
    "<{{ .Annotations.explain_url }}|Calls> · <{{ .Annotations.board_url }}|Board> · "
    "<{{ .Annotations.dashboard_url }}|Dashboard> · <{{ .Annotations.runbook_url }}|Runbook>"
)
_TEAMS = (
    "[Calls]({{ .Annotations.explain_url }}) · [Board]({{ .Annotations.board_url }}) · "
    "[Dashboard]({{ .Annotations.dashboard_url }}) · [Runbook]({{ .Annotations.runbook_url }})\n"
)


def _defined(name: str, body: str) -> str:
    return f'{{{{ define "{name}" }}}}{body}{{{{ end }}}}\n'


def templates() -> str:
    """All templates, as one file."""
    return "\n".join(
        (
            _SUBJECT,
            _defined("callboard.text", _alerts("", _PLAIN)),
            _defined(
                "callboard.slack", _alerts("*", _SLACK).replace("summary }}\n", "summary }}*\n")
            ),
            _defined(
                "callboard.teams", _alerts("**", _TEAMS).replace("summary }}\n", "summary }}**\n\n")
            ),
        )
    )


SUBJECT = '{{ template "callboard.subject" . }}'
TEXT = '{{ template "callboard.text" . }}'
SLACK = '{{ template "callboard.slack" . }}'
TEAMS = '{{ template "callboard.teams" . }}'
