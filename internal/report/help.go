package report

import (
	"embed"
	"errors"
	"io/fs"
	"strings"
)

// Helplines are data with a date and sources, one file a country.
//
//go:embed help/*.json
var helpFiles embed.FS

// Helpline is somebody outside of the organisation who helps.
type Helpline struct {
	For     string  `json:"for"` // listen, home, victims, dark: what a letter says of it
	Contact Contact `json:"contact"`
	Source  string  `json:"source,omitempty"`
}

// Help is what is known of one country's helplines.
type Help struct {
	Country string     `json:"country"` // ISO 3166-1 alpha-2
	Version string     `json:"version"` // when they were looked up, YYYY-MM
	Note    string     `json:"note"`
	Lines   []Helpline `json:"lines"`
}

// HelpIn is what is known of a country; nil for nothing. A file that is not in its
// form is a mistake of this program.
func HelpIn(country string) *Help {
	if len(country) != 2 || strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return nil
	}
	text, err := helpFiles.ReadFile("help/" + strings.ToLower(country) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	h := new(Help)
	if err != nil || strict(text, h) != nil || h.Country != country || h.Version == "" {
		panic("the built-in helplines are not in their form")
	}
	return h
}

// helplines are those that letters name.
func (s *Settings) helplines() []Helpline {
	all := []Helpline{}
	lines := s.Helplines
	if h := HelpIn(s.Country); lines == nil && h != nil {
		lines = h.Lines
	}
	for _, l := range lines {
		l.Source = "" // of the list, not of the letter
		all = append(all, l)
	}
	return all
}
