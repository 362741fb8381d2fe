package keyurl

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/scheduler-store/scheduler-store/encryption"
)

// Generate makes a key file, which only its owner may read. It never writes over one.
func Generate(path string) (_ *encryption.Keeper, err error) {
	var key [32]byte
	rand.Read(key[:])
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a key file: %w", err)
	}
	_, err = fmt.Fprintln(f, base64.StdEncoding.EncodeToString(key[:]))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syncDirectory(filepath.Dir(path)) // what it is used for must not outlive it
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a key file: %w", err), os.Remove(path))
	}
	return encryption.NewLocalKeeper(key), nil
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
