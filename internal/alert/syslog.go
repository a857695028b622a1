package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
)

// Numbers of RFC 5424.
const (
	facility = 13 // log audit, section 6.2.1
	// structureID names the structured data. 32473 is the enterprise number for
	// examples (RFC 5612); the project has none of its own.
	structureID = "abaton@32473"
)

// Syslog is the alert as one message of RFC 5424, without framing. Host is how the
// receiver knows the sender, "" for nothing.
func (a *Alert) Syslog(organisation abaton.ActorID, host, link string) []byte {
	if !a.Valid() {
		panic("alert: nothing is said")
	}
	if host == "" {
		host = "-"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<%d>1 %s %s abaton - ALERT [%s", facility*8+a.urgency(), time.Unix(a.Time, 0).UTC().Format("2006-01-02T15:04:05Z"), host, structureID)
	for _, p := range a.parameters(organisation, link) {
		if p.value != "" {
			fmt.Fprintf(&b, ` %s="%s"`, p.name, escaper().Replace(p.value))
		}
	}
	fmt.Fprintf(&b, "] %s", a.Title())
	return []byte(b.String())
}

// urgency is the severity of RFC 5424, section 6.2.1: 2 critical to 6
// informational.
func (a *Alert) urgency() int { return 7 - a.Severity() }

type parameter struct{ name, value string }

func (a *Alert) parameters(organisation abaton.ActorID, link string) []parameter {
	list := []parameter{{"id", a.ID}, {"case", a.Case}, {"what", a.What.String()}, {"act", a.Act.String()}, {"organisation", organisation.String()}}
	if a.What == Held {
		list = append(list, parameter{"kind", a.Kind.String()}, parameter{"subject", a.Subject}, parameter{"level", a.Level.String()},
			parameter{"rules", a.Rules.String()}, parameter{"by", numbers(a.By)})
	}
	for _, k := range a.Keepers {
		list = append(list, parameter{keeperName(k.Keeper), k.Level.String()})
	}
	if a.Keeper != 0 {
		list = append(list, parameter{"keeper", strconv.Itoa(int(a.Keeper))})
	}
	if a.What == Trial {
		list = append(list, parameter{"test", "true"})
	}
	return append(list, parameter{"reason", string(a.Reason)}, parameter{"target", a.Target}, parameter{"ended", a.Ended},
		parameter{"since", instant(a.Since)}, parameter{"until", instant(a.Until)}, parameter{"open", strconv.Itoa(a.Open)}, parameter{"link", link})
}

func numbers(all []abaton.KeeperIndex) string {
	var words []string
	for _, x := range all {
		words = append(words, strconv.Itoa(int(x)))
	}
	return strings.Join(words, ",")
}

func instant(unix int64) string {
	if unix == 0 {
		return ""
	}
	return time.Unix(unix, 0).UTC().Format(time.RFC3339)
}

// escaper escapes a parameter's value: RFC 5424, section 6.3.3.
func escaper() *strings.Replacer { return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`) }

// Frame puts messages into one stream by octet counting: RFC 5425, section 4.3.
func Frame(messages ...[]byte) (stream []byte) {
	for _, m := range messages {
		stream = fmt.Appendf(stream, "%d %s", len(m), m)
	}
	return stream
}

// Host reports whether a text can stand as the sender's name: RFC 5424, section
// 6.2.4, printable US-ASCII.
func Host(text string) bool {
	if len(text) > 255 {
		return false
	}
	for i := range len(text) {
		if text[i] < 33 || text[i] > 126 {
			return false
		}
	}
	return true
}
