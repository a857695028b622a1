package main

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/qr"
)

// kitTexts are the words of the page in each language of a kit.
func kitTexts(l escrow.Language) map[string]string {
	if l == escrow.Dutch {
		return map[string]string{
			"title": "Herstelkit", "opens": "Dit papier opent het gezondheidsdossier van", "keep": "Bewaar het waar u uw paspoort bewaart. Maak er geen foto van.",
			"who":  "Wie dit papier heeft, kan vragen het dossier te openen. Het opent na",
			"told": "De eigenaar krijgt meteen bericht en kan het stoppen.", "record": "Dossier", "words": "De twaalf woorden",
		}
	}
	return map[string]string{
		"title": "Recovery kit", "opens": "This paper opens the health record of", "keep": "Keep it where you keep your passport. Do not photograph it.",
		"who":  "Whoever has it can ask to open the record. It opens after",
		"told": "The owner is told at once and can stop it.", "record": "Record", "words": "The twelve words",
	}
}

// kitPageText is one A4 page, large print, without a script or anything from
// elsewhere.
const kitPageText = `<!doctype html>
<html lang="{{.Language}}"><head><meta charset="utf-8"><title>{{.T.title}}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
@page { size: A4; margin: 20mm }
body { font: 15pt/1.45 sans-serif; color: #000; background: #fff; max-width: 170mm; margin: auto }
h1 { font-size: 26pt; margin: 0 0 6mm }
ol { columns: 2; font-size: 20pt; font-weight: bold; padding-left: 12mm }
li { padding: 1.5mm 0 1.5mm 2mm; break-inside: avoid }
svg { width: 48mm; height: 48mm; float: right; margin: 0 0 4mm 6mm }
code { font-size: 11pt; overflow-wrap: anywhere }
</style></head><body>
<h1>{{.T.title}}</h1>
{{.Code}}
<p>{{.T.opens}} <strong>{{.Name}}</strong>. {{.T.keep}}</p>
<p>{{.T.who}} {{.Wait}}. {{.T.told}}</p>
<h2>{{.T.words}}</h2>
<ol>{{range .Words}}<li>{{.}}</li>{{end}}</ol>
<p>{{.T.record}}:<br><code>{{.Record}}</code></p>
</body></html>
`

// kitPage is the page to print for a kit.
func kitPage(name string, record abaton.ActorID, code escrow.Code, l escrow.Language, wait time.Duration) ([]byte, error) {
	t, err := template.New("kit").Parse(kitPageText)
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	picture, err := kitPicture(record, code)
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	if name == "" {
		name = short(record.String())
	}
	hours := wait.String()
	if wait%time.Hour == 0 {
		unit := "hours"
		if l == escrow.Dutch {
			unit = "uur"
		}
		hours = fmt.Sprintf("%d %s", wait/time.Hour, unit)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"T": kitTexts(l), "Language": string(l), "Name": name, "Record": record.String(),
		"Words": code.Words(l), "Wait": hours, "Code": template.HTML(picture)})
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return b.Bytes(), nil
}

// kitPicture is the kit as a QR code, for a device with a camera: the record's
// name and the English words.
func kitPicture(record abaton.ActorID, code escrow.Code) (string, error) {
	text := "abaton:kit:1:" + record.String() + ":" + strings.Join(code.Words(escrow.English), "-")
	c, err := qr.Encode([]byte(text))
	if err != nil {
		return "", err
	}
	return c.SVG(), nil
}
