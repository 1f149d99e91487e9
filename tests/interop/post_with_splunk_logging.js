// Splunk's own client for JavaScript sends three events; prints what came back as JSON.
//     node post_with_splunk_logging.js FOLDER_OF_NODE_MODULES URL TOKEN
const [folder, url, token] = process.argv.slice(2);
const { Logger } = require(require.resolve("splunk-logging", { paths: [folder] }));
const logger = new Logger({ token, url, maxBatchCount: 3, maxRetries: 0 });
const metadata = { source: "agents", sourcetype: "agenttrace:event", index: "agents", host: "laptop" };
logger.error = (error) => console.log(JSON.stringify({ error: error.message, code: error.code ?? null }));
for (let number = 0; number < 3; number += 1) {
  logger.send({ message: { number }, metadata, severity: "info" }, (error, _response, body) => {
    if (!error) console.log(JSON.stringify({ body }));
  });
}
