package searchtest

import (
	_ "embed"
	"strings"
)

//go:embed uscore.tsv
var usCoreText string

// A Want is one line of US Core's CapabilityStatement: parameters of a type
// that are searched together, or one inclusion.
type Want struct {
	Type   string
	Expect string   // SHALL, SHOULD or MAY; _include or _revinclude
	Names  []string // parameters, or the one value of the inclusion
	Kinds  []string // search types of the parameters
}

// USCore is what US Core 8.0.0 wants of a server.
func USCore() (wants []Want) {
	for line := range strings.Lines(usCoreText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := append(strings.Split(strings.TrimSuffix(line, "\n"), "\t"), "")
		w := Want{Type: columns[0], Expect: columns[1], Names: strings.Split(columns[2], ",")}
		if columns[3] != "" {
			w.Kinds = strings.Split(columns[3], ",")
		}
		wants = append(wants, w)
	}
	return wants
}
