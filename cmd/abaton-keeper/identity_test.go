package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/abaton-health/abaton/internal/daemon"
)

// TestKeysAreClosedToOthers: a keeper reads its key file only if nobody else can.
func TestKeysAreClosedToOthers(t *testing.T) {
	dir := t.TempDir()
	if _, err := initKeeper(dir, 1, "https://keeper1.example:8441", "an operator"); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false, 0o660: false} {
		if err := os.Chmod(filepath.Join(dir, daemon.IdentityFile), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := loadIdentity(dir); (err == nil) != want {
			t.Errorf("mode %04o: got %v, want read %v", mode, err, want)
		}
	}
}
