package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// hostileScript slips script into the sign-in page as the real gateway serves it,
// its headers untouched. Chromium, where there is one, must run none of it.
func hostileScript(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	if err := pageHeaders(ctx, g.n.GatewayURL()+"/sign-in"); err != nil {
		return l, err
	}
	l.detail = "the page's policy lets only the gateway's own script run; not tested in a browser: there is no Chromium here"
	if browser := chromium(); browser != "" {
		ran, err := g.inBrowser(ctx, browser)
		if err != nil {
			return l, err
		}
		if ran != "" {
			return l, fmt.Errorf("the browser ran what was slipped in: %s", ran)
		}
		l.detail = "Chromium ran none of it, and ran all of it with the gateway's headers taken off; script that the gateway itself serves as its own would run"
	}
	_, err := g.account(ctx, &l, began, newHaul(), g.anybody)
	return l, err
}

// pageHeaders sees that a page comes with the policy that stops foreign script.
func pageHeaders(ctx context.Context, page string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			err = errors.Join(err, fmt.Errorf("the page's policy has no %s", want))
		}
	}
	for _, never := range []string{"unsafe-inline", "unsafe-eval", "*"} {
		if strings.Contains(policy, never) {
			err = errors.Join(err, fmt.Errorf("the page's policy has %s", never))
		}
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		err = errors.Join(err, errors.New("the page may be sniffed"))
	}
	return err
}

// chromium is a browser on this machine; "" for none.
func chromium() string {
	if named := os.Getenv("CHROMIUM"); named != "" {
		return named
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if at, err := exec.LookPath(name); err == nil {
			return at
		}
	}
	return ""
}

// inBrowser says what of the hostile script ran. The control, without the
// gateway's policy, must run: else the test shows nothing.
func (g *ground) inBrowser(ctx context.Context, browser string) (ran string, err error) {
	var fetched atomic.Int32
	foreign, err := serveHere(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, `document.documentElement.setAttribute("data-foreign","ran")`)
	}))
	if err != nil {
		return "", err
	}
	defer foreign.close()
	hostile := `<script>document.documentElement.setAttribute("data-inline","ran")</script>` +
		`<script src="` + foreign.url + `/x.js"></script>` +
		`<img src="/none" onerror='document.documentElement.setAttribute("data-markup","ran")'></body>`
	look := func(strip bool) (string, error) {
		fetched.Store(0)
		between, err := altering(g.n.GatewayURL(), func(r *http.Response, body []byte) []byte {
			if strip {
				r.Header.Del("Content-Security-Policy")
			}
			if !isPage(r) {
				return body
			}
			return bytes.Replace(body, []byte("</body>"), []byte(hostile), 1)
		})
		if err != nil {
			return "", err
		}
		defer between.close()
		dom, err := g.dom(ctx, browser, between.url+"/sign-in")
		if err != nil {
			return "", err
		}
		var found []string
		for _, kind := range []string{"inline", "foreign", "markup"} {
			if strings.Contains(dom, `data-`+kind+`="ran"`) {
				found = append(found, kind)
			}
		}
		if fetched.Load() > 0 {
			found = append(found, "fetched")
		}
		return strings.Join(found, " "), nil
	}
	control, err := look(true)
	if err != nil {
		return "", err
	}
	if control != "inline foreign markup fetched" {
		return "", fmt.Errorf("the browser does not run hostile script without the policy either: %q", control)
	}
	return look(false)
}

// dom is what a page has become after a while.
func (g *ground) dom(ctx context.Context, browser, page string) (string, error) {
	home, err := os.MkdirTemp(g.dir, "browser-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(home)
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--user-data-dir="+filepath.Join(home, "profile"), "--virtual-time-budget=3000", "--dump-dom", page)
	c.Env = append(os.Environ(), "HOME="+home)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("run browser: %w", err)
	}
	if !strings.Contains(out.String(), "<title>") {
		return "", errors.New("the browser showed no page")
	}
	return out.String(), nil
}
