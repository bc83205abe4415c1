// The `nightshift` command inside the image: everything was installed and built when the image was.
process.setSourceMapsEnabled(true);
const { main } = await import('../dist/cli/main.js');
await main(process.argv);
