// Package web holds the pages with which a person enrols, makes a kit, chooses
// helpers, helps others, comes back with either, signs in, opens the record and
// takes access back, and with which a clinician who is held back goes on, as they
// are served: TypeScript of src/, built by
// "npm run build" into dist/, which CI compares.
//
//	body := web.Page()
//	body, media, ok := web.Asset("app.js")
//
// The keys live in the browser and nowhere else. It does not protect from the
// server that serves it: a gateway that serves other code takes what a person
// unlocks with it (docs/adr/0019-passkeys-and-the-browser.md).
package web

import (
	"embed"
	"path"
)

//go:embed dist
var dist embed.FS

// Page is the one page; its script shows what the path asks for.
func Page() []byte {
	b, err := dist.ReadFile("dist/page.html")
	if err != nil {
		panic("web: the page is embedded")
	}
	return b
}

// Asset is what the page loads, by name, and its media type.
func Asset(name string) (body []byte, media string, ok bool) {
	switch path.Ext(name) {
	case ".js":
		media = "text/javascript; charset=utf-8"
	case ".css":
		media = "text/css; charset=utf-8"
	default:
		return nil, "", false
	}
	body, err := dist.ReadFile("dist/" + path.Base(name))
	return body, media, err == nil
}
