package snapshot

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// goOnFrom makes a manifest that of an incremental snapshot: it begins with all parts of
// its base. Backups and states of restores must not depend on others, so they have none.
func (m *Manifest) goOnFrom(base *Manifest) error {
	if base == nil {
		return nil
	}
	m.Format, m.Base, m.Records = formatIncremental, base.Name, base.Records
	m.Parts = make([]Part, len(base.Parts))
	for i, p := range base.Parts {
		p.Object = base.PartKey(i)
		m.Parts[i] = p
	}
	if base.Cell != m.Cell || base.folder != Folder(prefix+base.Name) {
		return fmt.Errorf("it can't go on from %s of cell %s", base.folder, base.Cell)
	}
	return nil
}

// checkParts makes sure that the parts are those of a full snapshot, all in its folder,
// or those of an incremental one: first what older snapshots have, then its own.
func (m *Manifest) checkParts(folder Folder) error {
	if len(m.Parts) > maxParts {
		return fmt.Errorf("it has %d parts, %d are allowed", len(m.Parts), maxParts)
	}
	if m.Incremental() != (m.Format == formatIncremental) {
		return fmt.Errorf("it has format %d and base %q", m.Format, m.Base)
	}
	if m.Expires.IsZero() == (m.Format == formatExpiring) {
		return fmt.Errorf("it has format %d and expires at %v", m.Format, m.Expires)
	}
	if m.Format == formatExpiring && strings.HasPrefix(string(folder), prefix) {
		return errors.New("it expires, and is a snapshot, which does not")
	}
	if m.Incremental() {
		base, err := ParseName(m.Base)
		switch {
		case err != nil:
			return fmt.Errorf("its base: %w", err)
		case folder != Folder(prefix+m.Name):
			return errors.New("it goes on from a snapshot, and is none itself")
		case base.Position+1 >= m.At.Next:
			return fmt.Errorf("it goes on from %s, which is no older than it", m.Base)
		}
	}
	seen, own := map[string]bool{}, false
	for i, p := range m.Parts {
		if p.Object == "" {
			own = true
			continue
		}
		of, err := parsePartKey(p.Object)
		switch {
		case err != nil:
			return fmt.Errorf("part %d: %w", i, err)
		case !m.Incremental():
			return fmt.Errorf("part %d is %s, but the snapshot is full", i, p.Object)
		case own:
			return fmt.Errorf("part %d is %s, after the snapshot's own", i, p.Object)
		case of.Position+1 >= m.At.Next:
			return fmt.Errorf("part %d is %s, of a snapshot that is no older than it", i, p.Object)
		case seen[p.Object]:
			return fmt.Errorf("part %d is %s once more", i, p.Object)
		}
		seen[p.Object] = true
	}
	return nil
}

// PartOf returns the snapshot in whose folder the i-th part lies.
func (m *Manifest) PartOf(i int) (Name, error) { return parsePartKey(m.PartKey(i)) }

// parsePartKey returns the snapshot in whose folder a part lies.
func parsePartKey(key string) (Name, error) {
	if folder, number, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/part-"); ok {
		name, err := ParseName(folder)
		i, numberErr := strconv.Atoi(number)
		if err == nil && numberErr == nil && i >= 0 && name.folder().partKey(i) == key {
			return name, nil
		}
	}
	return Name{}, fmt.Errorf("%q is no part of a snapshot", key)
}

// Lineage tells what a snapshot was made of: the parts of the full one that it began
// with, and those of all incremental ones since, its own included.
func (m *Manifest) Lineage() (full, since []Part) {
	n := 0
	for n < len(m.Parts) && m.partFolder(n) == m.partFolder(0) {
		n++
	}
	return m.Parts[:n], m.Parts[n:]
}

func (m *Manifest) partFolder(i int) string {
	folder, _, _ := strings.Cut(m.PartKey(i), "/part-")
	return folder
}
