"""The rules about what is said: the stories of the scam types, and the words of someone who is steered."""

from typing import Final

from services.rules.pack import Phrases, Rule, Says

OFFICIALS_NEVER: Final = "公检法机关没有“安全账户”，不会在电话里办案，也不会让您转账。"
INVESTING: Final = "投资|理财|炒股|新股|股票|期货|数字货币|虚拟币|区块链|黄金|原油|外汇"
BOSS: Final = "老板|领导|董事长|总经理|书记|校长"
MESSENGER: Final = "qq|微信|钉钉|短信|群里"
SWEETHEART: Final = "男朋友|女朋友|男友|女友|对象"
FAMILY_AND_STAFF: Final = "家|老伴|女儿|儿子|孩子|银行|柜员|别人|旁人|任何人"

TALK: Final[tuple[Rule, ...]] = (
    Rule(
        "safe-account",
        50,
        Says(
            Phrases("安全账[户号]|(?:核查|清查)账户|资金(?:核查|清查)"),
            "要求把钱转入“安全账户”",
            {"safe_account": "安全账户"},
        ),
        "impersonated_authority",
        ask=("是不是有自称公安、检察院、法院的人让您转账？",),
        say=(OFFICIALS_NEVER,),
    ),
    Rule(
        "officials-ordered",
        40,
        Says(
            Phrases(
                ("公安|警官|警察|检察[院官]", "电话|让|叫|要求|说|涉|洗钱|通缉|冻结|安全账"),
                # courts and bureaus do collect fees and contributions: only their threats count
                ("法院|法官|社保局|医保局|通管局|通信管理局", "涉案|涉嫌|洗钱|通缉|冻结令|盗用|停机"),
                "涉嫌洗钱|通缉令|配合调查",
            ),
            "自称公检法或政府机关的人要求转账",
            {"police_ordered": "称公检法要求转账"},
        ),
        "impersonated_authority",
        ask=("对方有没有给您看“通缉令”“冻结令”？",),
        say=(OFFICIALS_NEVER,),
    ),
    Rule(
        "brushing-task",
        50,
        Says(
            Phrases(
                "刷单|刷信誉|刷销量",
                ("群|网上|平台|app|兼职", "做任务|任务单|抢单"),
                ("任务|抢单|派单|连单|联单|点赞", "垫|返利|返佣|返了|佣金|提现"),
                ("垫", "返利|返佣|返了|佣金"),
            ),
            "刷单返利类诈骗的说法",
            {"brushing_task": "刷单、做任务"},
        ),
        "brushing_rebates",
        ask=("这是不是网上的“任务”？前几单是不是返过小钱？",),
        say=("所有刷单都是诈骗，先给小利，后骗大钱。",),
    ),
    Rule(
        "fee-to-withdraw",
        45,
        Says(
            Phrases(
                ("解冻", "费|保证金|押金"),
                ("提现|出金", "保证金|押金|解冻|认证金|先交|先转"),
                ("交|充|垫|转", "才[能给让]", "提现|提出来|出金|解冻"),
                ("保证金|押金|会员费|手续费|验证金", "才", "放款|下款"),
                ("账户|账号", "激活|认证", "费|保证金|押金"),
                ("卡号", "填错|输错", "冻|锁"),
            ),
            "要先交钱才能提现、解冻或放款",
            {"pays_fee_to_withdraw": "先交钱才能提现"},
        ),
        ask=("这笔钱交了以后，对方说能拿回多少？以前提现成功过吗？",),
        say=("凡是先交保证金、解冻费、税款才能提现的，都是诈骗。",),
    ),
    Rule(
        "investment-platform",
        35,
        Says(
            Phrases(
                (INVESTING, "跟老师|老师[带说教]|导师|群里|内部|内幕|带单"),
                ("跟着?老师|老师[带说教]|导师|群里|内部|内幕", INVESTING),
                ("投资|炒股|股票|期货|数字货币|虚拟币|外汇", "平台|软件|app"),
                "内幕消息|稳赚|高回报|带单",
            ),
            "网上投资理财平台的说法",
        ),
        "fake_investment",
        ask=("这个平台是谁介绍的？在正规应用商店能下载到吗？",),
        say=("没有稳赚不赔的投资，群里的“老师”和“学员”多半是一伙的。",),
    ),
    Rule(
        "credit-record",
        35,
        Says(
            Phrases(
                ("征信", "修复|清零|洗白"),
                ("修复|清零|洗白", "征信"),
                ("消除", "征信|不良记录|逾期记录"),
                ("校园贷|学生贷", "注销|清零|关闭"),
                ("注销", "校园贷|学生贷|贷款额度|网贷"),
            ),
            "虚假征信类诈骗的说法",
        ),
        "fake_credit_record",
        ask=("是不是有人说您的征信有问题，要先转钱才能处理？",),
        say=("个人征信由中国人民银行管理，任何人都不能花钱修改。",),
    ),
    Rule(
        "loan-fee",
        35,
        Says(
            Phrases("刷流水", ("贷款|网贷|放贷", "验证|保证金|解冻|会员费|刷流水|做流水|走流水")),
            "虚假贷款类诈骗的说法",
        ),
        "fake_loan",
        ask=("是不是放款前要先转钱？这笔贷款是在哪里申请的？",),
        say=("正规贷款放款前不收任何费用。",),
    ),
    Rule(
        "customer-service",
        40,
        Says(
            Phrases(
                ("客服", "退款|理赔|会员|百万保障|下载|下了|会议|屏幕|验证|流水"),
                "百万保障|双倍赔",
                ("会员|代理商|自动扣费|自动续费", "不关|不取消|关闭|取消"),
                ("取消|关闭", "会员|代理商|自动扣费|自动续费"),
                ("快递", "理赔"),
            ),
            "冒充电商物流客服的说法",
        ),
        "fake_customer_service",
        ask=("对方是不是说您误开了会员，或者快递丢了要理赔？",),
        say=("真正的客服退款原路返回，不会让您转账。",),
    ),
    Rule(
        "boss-by-message",
        25,
        Says(
            Phrases((BOSS, MESSENGER), (MESSENGER, BOSS)),
            "领导用聊天软件叫转账",
        ),
        "impersonated_acquaintance",
        ask=("有没有打电话或当面跟本人确认过？",),
        say=("请先用您自己存的号码打给本人核实。",),
    ),
    Rule(
        "acquaintance-by-message",
        30,
        Says(
            Phrases(("同学|亲戚|朋友|战友|老乡", MESSENGER, "借钱|要借|急用|急需|周转|救急")),
            "熟人用聊天软件借钱",
        ),
        "impersonated_acquaintance",
        ask=("有没有打电话或当面跟本人确认过？",),
        say=("请先用您自己存的号码打给本人核实。",),
    ),
    Rule(
        "romance",
        35,
        Says(
            Phrases(
                ("网恋|网友|交友|没见过面|网上认识", f"{SWEETHEART}|转|借|投|汇|急"),
                (SWEETHEART, "没见过"),
            ),
            "网络婚恋交友类诈骗的说法",
        ),
        "romance",
        ask=("您和对方见过面吗？认识多久了？",),
        say=("没见过面的人要您转钱，不管说得多亲近，都先停一停。",),
    ),
    Rule(
        "game-trading",
        35,
        Says(
            Phrases(
                ("卖|买|租", "游戏号|游戏账号|游戏币|游戏皮肤|游戏装备"),
                ("游戏", "账号|交易|皮肤|装备|解冻"),
            ),
            "网络游戏产品虚假交易的说法",
        ),
        "game_trading",
        ask=("交易链接是谁发来的？是不是游戏官方的平台？",),
        say=("游戏交易请走官方平台，凡是要先充钱解冻的都是诈骗。",),
    ),
    Rule(
        "off-platform-purchase",
        25,
        Says(
            Phrases(
                ("不走|不肯走|绕开|脱离|私下", "平台|交易|担保"),
                ("网上|平台|网店|直播间|闲鱼", "直接转|私下|先付|先转|加微信"),
                ("半价|低价|便宜一半", "直接转|私聊|先付|先转|加微信"),
            ),
            "虚假购物或服务的说法",
        ),
        "fake_shopping",
        ask=("为什么不走平台担保交易？看过实物吗？",),
        say=("离开平台私下付款，出了事追不回来。",),
    ),
    Rule(
        "remote-control",
        25,
        Says(
            Phrases(
                "屏幕共享|共享屏幕|远程控制|会议软件|不肯挂电话|电话没挂",
                ("一直|全程|始终", "耳机|通话|讲电话|打电话|没挂"),
                ("照着", "念|读"),
            ),
            "客户疑似受人遥控",
            {"on_phone_throughout": "全程通话或戴耳机", "reads_from_screen": "照着屏幕念或共享屏幕"},
        ),
        say=("请先把电话挂掉，我们当面说。",),
        do=("引导客户挂断电话、退出屏幕共享。",),
    ),
    Rule(
        "kept-apart",
        20,
        Says(
            Phrases(
                ("别跟|不[要能]跟|别告诉|不[要能许准让]告诉|瞒着", FAMILY_AND_STAFF),
                "别声张|要保密|不能往外",
            ),
            "有人不让客户与旁人商量",
            {"must_not_tell": "不许告诉家人和银行", "accompanied_by_stranger": "由陌生人陪同并代答"},
        ),
        say=("这笔钱的事，和家人商量一下再办也不迟。",),
        do=("请客户单独到安静处说话。",),
    ),
    Rule(
        "cannot-verify",
        20,
        Says(
            Phrases("联系不上|打不通", ("电话|视频|语音", "不接|没接|不方便接")),
            "联系不上本人核实",
        ),
        do=("联系上本人之前先不要办理。",),
    ),
    Rule(
        "story-does-not-hold",
        15,
        Says(
            Phrases("答不上来|说不清|讲不清|前后不一|支支吾吾|吞吞吐吐"),
            "说不清收款人是谁，或前后说法不一",
            {"cannot_name_payee": "说不清收款人"},
        ),
        ask=("收款人叫什么名字？您最近一次见他是什么时候？",),
    ),
)
