// Runs the README's example against the Redis at argv[2]; says what it asks for and what it shows.
import { watch } from "./example.mjs";

const query = async () => {
  console.log("query");
  return [{ id: "1" }, { id: "2" }];
};

watch(process.argv[2], "events:repo:owner/repo", query, (event) => console.log(`show ${event.id}`));
