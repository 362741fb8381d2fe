package evidence

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSaveMakesItsFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	t.Setenv(Directory, folder)
	if err := Save(Result{Suite: "damage"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "damage.json")); err != nil {
		t.Error(err)
	}
}
