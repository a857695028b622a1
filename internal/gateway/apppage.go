package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/smart"
)

const contentHTML = "text/html; charset=utf-8"

// pageStyle is the one style of the pages; its hash stands in their policy.
// Sizes are relative, colours have a contrast of 7 to 1 or more, and nothing
// is wider than the window.
const pageStyle = `:root{color-scheme:light dark}
body{font:1.125rem/1.5 system-ui,sans-serif;max-width:36rem;margin:0 auto;padding:1rem;color:#111;background:#fff;overflow-wrap:anywhere}
h1{font-size:1.75rem;line-height:1.25;margin:.5rem 0 1rem}
h2{font-size:1.25rem;line-height:1.3;margin:1.5rem 0 .5rem}
.code{font:700 2rem/1.25 ui-monospace,monospace;letter-spacing:.05em}
button{font:inherit;padding:.75rem 1.25rem;border:2px solid #111;background:#fff;color:#111}
button:focus-visible,a:focus-visible{outline:3px solid #0b57d0;outline-offset:3px}
@media (prefers-color-scheme:dark){body,button{color:#f2f2f2;background:#111;border-color:#f2f2f2}a{color:#a8c7fa}}`

// pageSource is every page: what it says, and what can be done.
const pageSource = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{{if .Again}}<meta http-equiv="refresh" content="{{.Again}}">
{{end}}<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{range .Says}}<p>{{.}}</p>
{{end}}{{if .May}}<h2>It asks to</h2>
<ul>
{{range .May}}<li>{{.}}</li>
{{end}}</ul>
{{end}}{{if .Code}}<h2>To allow it</h2>
<p>On your own device, approve this code. It works until {{.Until}}.</p>
<p class="code">{{.Code}}</p>
<p>With the command line: <code>abaton app approve {{.Code}}</code></p>
<p>Your device shows once more what is asked, and you choose which parts of the record and for how long. There is no password, and nobody will ask you for this code.</p>
<p role="status">Waiting for your device. This page goes on by itself.</p>
<form method="post" action="{{.No}}"><button type="submit">Do not allow</button></form>
{{end}}{{if .Back}}<p><a href="{{.Back}}">Go on</a></p>
{{end}}</main>
</body>
</html>
`

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is what one page says.
type page struct {
	Title string
	Says  []string
	May   []string
	Code  string
	Until string
	No    string // where the form goes that says no
	Back  string
	Again string // of a refresh
	Style template.CSS
}

// waitSeconds is how long a page stands before it asks for news, and againQuery
// what tells that it does.
const (
	waitSeconds = "1"
	againQuery  = "again"
)

func (p page) answer(status int) *answer {
	p.Style = pageStyle
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		panic("gateway: the page's template takes a page")
	}
	return &answer{status: status, content: contentHTML, header: pageHeader(), body: b.Bytes()}
}

// pageHeader lets a page load nothing, run nothing, be framed by nobody, and
// send its form here alone.
func pageHeader() http.Header {
	style := hashOf(pageStyle)
	return http.Header{
		"Content-Security-Policy": {"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) +
			"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"},
		"X-Frame-Options":            {"DENY"},
		"Referrer-Policy":            {"no-referrer"},
		"Cross-Origin-Opener-Policy": {"same-origin"},
	}
}

func askPage(a *ask, now time.Time) *answer {
	p := page{
		Title: a.App.Name + " asks to use health records",
		May:   a.Scopes.Words(),
		Code:  shownCode(a.code),
		Until: a.expires.UTC().Format("15:04") + " UTC",
		No:    "/authorize/" + a.handle,
		Again: waitSeconds + "; url=/authorize/" + a.handle + "?" + againQuery,
	}
	p.Says = append(p.Says, "It is registered here as "+a.App.ID+" and will be answered at "+hostOf(a.Redirect)+".")
	if a.launch != nil {
		p.Says = append(p.Says, "You opened it from a patient's record. It will be about that patient.")
	}
	p.Says = append(p.Says, "Access ends by itself after an hour at most, and you can stop it at any time. Everything it opens stands in the list of who looked.")
	if a.App.Kind == smart.Public && a.App.ProofOptional {
		p.Says = append(p.Says, "Be careful: this app does not prove that it holds a key, so its access could be used by somebody who steals it.")
	}
	if len(a.Dropped) > 0 {
		p.Says = append(p.Says, "It also asked for things that are not known here. It will not get them.")
	}
	return p.answer(http.StatusOK)
}

// hostOf is where an answer goes, for people.
func hostOf(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil || u.Host == "" {
		return "an app on this device"
	}
	return u.Host
}

func gonePage() *answer {
	return page{Title: "This request has ended", Says: []string{
		"It was answered, took too long, or was opened in another browser.",
		"Nothing was given to the app by this page. Go back to the app and begin again."}}.answer(http.StatusGone)
}

func declinedPage(a *ask) *answer {
	return page{Title: "Not allowed", Says: []string{a.App.Name + " gets nothing."},
		Back: "/authorize/" + a.handle, Again: waitSeconds + "; url=/authorize/" + a.handle}.answer(http.StatusOK)
}

// refusedPage tells the person, and not a redirect, of a request whose sender
// is not known.
func refusedPage(err error) *answer {
	says := "the request is not well formed"
	if e, ok := errors.AsType[*smart.Error](err); ok {
		says = e.Says
	}
	return page{Title: "This app cannot be let in", Says: []string{
		strings.ToUpper(says[:1]) + says[1:] + ".",
		"Nothing was given to anybody. Tell whoever runs the app."}}.answer(http.StatusBadRequest)
}
