package main

import (
	"bytes"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/qr"
)

// emergencyCard is what a patient carries on paper, and emergency card --json.
// Nothing on it opens anything: Record is the name by which a clinician asks for
// the set as it is then.
type emergencyCard struct {
	V       int             `json:"v"`
	Record  string          `json:"record"`
	Person  string          `json:"person"`
	Printed int64           `json:"printed"` // unix seconds
	Caveat  string          `json:"caveat,omitempty"`
	Parts   []emergencyPart `json:"parts"`
}

func newEmergencyCard(e *env) *cobra.Command {
	var as, page string
	var asJSON bool
	c := &cobra.Command{Use: "card", Short: "As a patient, print on paper what an ambulance reads", Args: cobra.NoArgs,
		Long: `As a patient, print on paper what an ambulance reads: the own emergency set as it
stands today, and the name of the record, by which a clinician opens it as it stands
then (emergency open --patient act1...). Nothing on the card opens anything; whoever
finds it reads what is on it, and nothing else. A card that would lack something is
not printed. Print a new one when something changes.`,
		Example: "  abaton emergency card --as patient-8a4c9c04 --page card.html",
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient", d.Handle)
			}
			r, err := d.recordIn(c.Context(), func(c fhir.Category) bool { return c == fhir.Emergency })
			if err != nil {
				return err
			}
			card, err := newCard(r, d.ID.String(), time.Now())
			if err != nil {
				return err
			}
			if page != "" {
				if err := e.writeCard(page, card); err != nil {
					return err
				}
			}
			switch {
			case asJSON:
				return e.json(card)
			case page == "":
				e.showCard(card)
			}
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().StringVar(&page, "page", "", "write an A4 page to print (HTML), with the record's name as a QR code")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// newCard is a card of an own emergency set. Paper cannot say later what it
// lacked: less than all of it is an error.
func newCard(r *ownRecord, record string, now time.Time) (*emergencyCard, error) {
	if n := r.missing + r.hidden; n > 0 {
		return nil, fmt.Errorf("%d records of the emergency set could not be opened now, and a card without them would mislead; try again", n)
	}
	card := &emergencyCard{V: 1, Record: record, Printed: now.Unix(), Caveat: r.caveat}
	card.Person, card.Parts, _ = inEmergency(r)
	if card.Person == "" {
		return nil, fmt.Errorf("the emergency set does not say whose it is: the record has no Patient")
	}
	return card, nil
}

// day is when the card was true.
func (c *emergencyCard) day() string { return time.Unix(c.Printed, 0).Format(time.DateOnly) }

func (e *env) showCard(c *emergencyCard) {
	e.print("EMERGENCY CARD, as of %s\n%s\n", c.day(), c.Person)
	e.printParts(c.Parts)
	e.print("\nRecord\n  %s\n", c.Record)
	if c.Caveat != "" {
		e.say("%s", c.Caveat)
	}
	e.say("Nothing on it opens anything. Print a new one when something changes.")
}

// writeCard writes the page, readable by its owner only.
func (e *env) writeCard(file string, c *emergencyCard) error {
	text, err := cardPage(c)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	e.say("Print %s and delete it.", filepath.Base(file))
	return nil
}

// cardPageText is one A4 page, large print, without a script or anything from
// elsewhere.
const cardPageText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Emergency card</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
@page { size: A4; margin: 15mm }
body { font: 15pt/1.4 sans-serif; color: #000; background: #fff; max-width: 180mm; margin: auto }
h1 { font-size: 26pt; margin: 0 0 4mm }
h2 { font-size: 16pt; margin: 5mm 0 1mm }
ul { margin: 0; padding-left: 8mm }
svg { width: 40mm; height: 40mm; float: right; margin: 0 0 4mm 6mm }
code { font-size: 10pt; overflow-wrap: anywhere }
</style></head><body>
<h1>Emergency card</h1>
{{.Picture}}
<p><strong>{{.Card.Person}}</strong></p>
<p>As of {{.Day}}. The record may say more today.</p>
{{range .Card.Parts}}<h2>{{.Name}}</h2>
{{if .Items}}<ul>{{range .Items}}<li>{{.}}</li>{{end}}</ul>{{else}}<p>none known</p>{{end}}
{{end}}{{with .Card.Caveat}}<p>{{.}}</p>{{end}}
<h2>Record</h2>
<p><code>{{.Card.Record}}</code></p>
<p>A clinician in an emergency role opens it by this name. This paper alone opens nothing.</p>
</body></html>
`

// cardPage is the page to print; its code holds the record's name alone.
func cardPage(c *emergencyCard) ([]byte, error) {
	picture, err := qr.Encode([]byte(c.Record))
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	t, err := template.New("card").Parse(cardPageText)
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"Card": c, "Day": c.day(), "Picture": template.HTML(picture.SVG())}); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return b.Bytes(), nil
}
