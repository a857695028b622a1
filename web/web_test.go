package web_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/web"
)

// TestPageLoadsWhatIsThere: the page and its scripts name only what is
// embedded, so that nothing is missing after a build.
func TestPageLoadsWhatIsThere(t *testing.T) {
	seen := make(map[string]bool)
	var follow func(text string)
	follow = func(text string) {
		for _, m := range regexp.MustCompile(`["'](?:/web|\.)/([A-Za-z0-9.-]+\.(?:js|css))["']`).FindAllStringSubmatch(text, -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			body, media, ok := web.Asset(m[1])
			if !ok || !strings.HasPrefix(media, "text/") {
				t.Errorf("%s: got %q, %v, want it embedded", m[1], media, ok)
			}
			follow(string(body))
		}
	}
	follow(string(web.Page()))
	if len(seen) < 4 {
		t.Errorf("got %d files, want page, script, style and the part that is loaded when needed", len(seen))
	}
}

// TestNoCredentialAsAWhole: a credential turned into JSON holds the PRF's
// output, so no script does that.
func TestNoCredentialAsAWhole(t *testing.T) {
	body, _, ok := web.Asset("app.js")
	if !ok {
		t.Fatal("app.js is not embedded")
	}
	for _, bad := range []string{".toJSON(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "sessionStorage"} {
		if strings.Contains(string(body), bad) {
			t.Errorf("app.js holds %q", bad)
		}
	}
}

func TestAssetNames(t *testing.T) {
	for _, name := range []string{"", "page.html", "..", "../web.go", "app", "x.js", "app.js/", "dist/../app.ts"} {
		if _, _, ok := web.Asset(name); ok {
			t.Errorf("%q: got an asset, want none", name)
		}
	}
}
