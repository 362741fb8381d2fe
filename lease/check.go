package lease

// Check tells what is wrong with the options, without any request: Acquire would
// refuse them for it.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}
