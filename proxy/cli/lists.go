package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
)

// listTimeout is how long the fetching of one list may take.
const listTimeout = 5 * time.Minute

func runLists(c *console, args []string) error {
	f := c.flags("lists update --config FILE")
	config := f.String("config", "", "the configuration `file` that names the lists")
	if len(args) > 0 && args[0] == "update" {
		args = args[1:]
	} else if !asksHelp(args) {
		return usageErrorf("there is lists update")
	}
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if *config == "" {
		return usageErrorf("--config is missing")
	}
	lists, err := configs.FetchedLists(*config)
	if err != nil {
		return usageError{err}
	}
	if len(lists) == 0 {
		return usageErrorf("%s: no list has a url", *config)
	}
	var failed []error
	for i := range lists {
		if err := updateList(c.out, &lists[i]); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", lists[i].URL, err))
		}
	}
	return errors.Join(failed...)
}

// updateList fetches a list and puts it in the place of the one before, unless
// it is none.
func updateList(out io.Writer, l *configs.FetchedList) error {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "askfirst-lists")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s; the list before is kept", resp.Status)
	}
	if l.Text, err = io.ReadAll(io.LimitReader(resp.Body, rules.MaxListSize+1)); err != nil {
		return fmt.Errorf("%w; the list before is kept", err)
	}
	engine, err := rules.New(rules.Options{Lists: []rules.List{l.List}})
	if err != nil {
		return fmt.Errorf("%w; the list before is kept", err)
	}
	summary := engine.Lists()[0]
	if summary.Rules == 0 {
		return errors.New("has no rule; the list before is kept")
	}
	if err := replaceFile(l.Name, l.Text); err != nil {
		return err
	}
	fmt.Fprintln(out, summary)
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".list-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(text)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}
