// The part of record.py whose client is written for Node.
const ChatBot = require("dingtalk-robot-sender");

(async () => {
  const webhook = `${process.argv[2]}/robot/send?access_token=TOKEN`;
  await new ChatBot({ webhook, secret: "SECtest" }).text("db-1 告警 @13800000000", { atMobiles: ["13800000000"], isAtAll: false });
  const bot = new ChatBot({ webhook });
  await bot.markdown("db-1", "### db-1\n\nis **down**", { isAtAll: true });
  await bot.link({ title: "db-1", text: "is down", messageUrl: "https://x.test/db-1", picUrl: "" });
  const btns = [{ title: "yes", actionURL: "https://x.test/y" }, { title: "no", actionURL: "https://x.test/n" }];
  await bot.actionCard({ title: "db-1", text: "is **down**", hideAvatar: "0", btnOrientation: "1", btns });
  await bot.feedCard([{ title: "a", messageURL: "https://x.test/a", picURL: "https://x.test/a.png" }]);
})();
