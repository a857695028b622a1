package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// alertHook is: alerthook CONFIG LOG. It begins a receiver of webhooks that writes
// each body to LOG, after BAD where no signature holds, and writes the
// configuration that names it.
func alertHook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: alerthook CONFIG LOG")
	}
	secret := []byte("abaton-test-only, 32 bytes of it")
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	var mu sync.Mutex
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if err != nil || r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			fmt.Fprint(out, "BAD ")
		}
		fmt.Fprintf(out, "%s %s\n", r.Header.Get("webhook-id"), body)
	}))
	ts.Defer(func() { hook.Close(); out.Close() })
	ts.Check(os.WriteFile(ts.MkAbs("hook.secret"), []byte("whsec_"+base64.StdEncoding.EncodeToString(secret)), 0o600))
	config := strings.ReplaceAll(`{"state": "alerts-state.json", "every_seconds": 1, "targets": [
 {"name": "siem", "kind": "webhook", "inside": true, "url": "URL/in", "secret_file": "hook.secret"}]}`, "URL", hook.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(config), 0o600))
}
