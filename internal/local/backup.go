package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// CopyFolder copies a process's folder to dst, as a backup that keeps modes: a
// keeper does not start with a key file that is open to others. dst must not hold
// any of the files.
func CopyFolder(dst, src string) error {
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		return err
	}
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		name, outside := filepath.Rel(src, path)
		if err := errors.Join(err, outside); err != nil {
			return err
		}
		return os.Chmod(filepath.Join(dst, name), info.Mode().Perm())
	})
}
