package alert

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Sum is what an e-mail has of alerts: how many, and nothing about whom.
type Sum struct {
	Opened int  `json:"opened,omitempty"`
	Rose   int  `json:"rose,omitempty"`
	Ended  int  `json:"ended,omitempty"`
	Worst  int  `json:"worst,omitempty"` // severity
	Open   int  `json:"open"`            // after the last of them
	Test   bool `json:"test,omitempty"`
	Beat   bool `json:"beat,omitempty"`
}

// Add counts one more alert.
func (s *Sum) Add(a *Alert) {
	switch {
	case a.What == Trial:
		s.Test = true
	case a.What == AllWell:
		s.Beat = true
	case a.Act == Create:
		s.Opened++
	case a.Act == Update:
		s.Rose++
	case a.Act == Close:
		s.Ended++
	}
	s.Worst, s.Open = max(s.Worst, a.Severity()), a.Open
}

// Letter is how an e-mail goes out: between whom, under which name. Addresses are
// of the configuration.
type Letter struct {
	ID   string // of the first alert in it; the same at each try
	From string
	To   []string
	Link string
	Time time.Time
}

// Mail is an e-mail about alerts: counts and a link, RFC 5322.
func (s *Sum) Mail(l *Letter) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: %s", l.From)
	line("To: %s", strings.Join(l.To, ", "))
	line("Subject: %s", s.subject())
	line("Date: %s", l.Time.UTC().Format(time.RFC1123Z))
	line("Message-ID: <%s@%s>", l.ID, domain(l.From))
	line("Auto-Submitted: auto-generated") // RFC 3834, section 5
	line("MIME-Version: 1.0")
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	for _, t := range s.lines() {
		line("%s", t)
	}
	if l.Link != "" {
		line("")
		line("%s", l.Link)
	}
	return []byte(b.String())
}

// Empty reports whether it counts nothing that happened.
func (s *Sum) Empty() bool { return s.counted() == 0 && !s.Test }

func (s *Sum) counted() int { return s.Opened + s.Rose + s.Ended }

func (s *Sum) subject() string {
	switch {
	case s.Test:
		return "Abaton: a test of the alerts"
	case s.counted() == 0:
		return fmt.Sprintf("Abaton: alerts go out (open: %d)", s.Open)
	}
	return fmt.Sprintf("Abaton: %d new, %d raised, %d ended (%s)", s.Opened, s.Rose, s.Ended, strings.ToLower(severityWord(s.Worst)))
}

func (s *Sum) lines() (out []string) {
	if s.Test {
		out = append(out, "This is a test. Nothing has happened.")
	}
	if s.counted() > 0 {
		out = append(out, fmt.Sprintf("New alerts: %d", s.Opened), fmt.Sprintf("Raised:     %d", s.Rose), fmt.Sprintf("Ended:      %d", s.Ended))
	}
	return append(out, fmt.Sprintf("Open now:   %d", s.Open), "", "Who and why is not in this mail. A security officer sees it with",
		"abaton watch status.")
}

// domain is what follows the @ of an address.
func domain(address string) string {
	at := strings.LastIndexByte(address, '@')
	return strings.TrimSuffix(address[at+1:], ">")
}

// Address reports whether a text is a plain address that can stand in a header and
// in an SMTP command: no name, no spaces, no line ends.
func Address(text string) bool {
	local, host, ok := strings.Cut(text, "@")
	if !ok || local == "" || host == "" || len(text) > 254 || strings.Contains(host, "@") {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || strings.IndexByte(`<>()[]\,;:"`, c) >= 0 {
			return false
		}
	}
	return true
}

// Link reports whether a text can be the link of alerts: https, and nobody's
// secret in it.
func Link(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(text) > 512 {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
