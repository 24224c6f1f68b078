"""The Chinese rules that are one pattern each, simplified and traditional script."""

import re

from parrot_core.context.query import Query
from parrot_core.context.rule import Kind, Rule, first_match

_SHORT_CHARS = 60
"""Longer Chinese queries mostly bring the thing that they point at."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_ANTECEDENT_CHARS = 4
_COURTESY = re.compile(
    r"^(?:好的?|谢谢你?|謝謝|明白了?|不错|不錯|很好|可以|嗯|哦|ok|请|請|那么|那麼|没事|对|對|[\s，,。！!])+",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[，,。.；;？?！!：:\n]")

_PRONOUN = re.compile(
    r"(?<![其吉])[它牠他她](?!人|国|國|乡|鄉|日)|(?<![尤与與极極莫])其(?=[中的他]|\w{2,3}[是为為])"
)
_OWN_POSSESSIVE = re.compile(r"[\u3400-\u9fff]{2,}[和与與跟及]\Z")
_CLASSIFIER = (
    r"[个個些样樣种種段篇首句两兩几幾部张張道题題里裡边邊款项項条條位本只隻家件次类類层層列行]"
)
_DEMONSTRATIVE = re.compile(
    r"[这這](?!(?:个|個)?(?:周末|週末|星期|礼拜|月|世界|年头|时代)|几[天年]|幾[天年]|[一两]?[天年月次]"
    r"|段(?:时间|日子)|阵|时候|輩子|辈子)"
    rf"(?=[二三四五六七八九十\d]+{_CLASSIFIER}|{_CLASSIFIER}|[是就会會能跟和与與对對有不算么麼要可应應怎为為])"
    rf"|(?<![\u3400-\u9fff])那(?={_CLASSIFIER})(?!.{{2,20}}的[^，。？]{{1,8}}[叫是])(?!一?[年天])"
    r"|(?<=[\u3400-\u9fff])(?<!的)那(?=[家位张張])|(?<=[在去到从從])那[儿兒里裡边邊]"
    r"|(?<=[\u3400-\u9fff])的那[个個种種](?=答案|问题|問題|版本|方案|办法|辦法)"
    r"|此(?=文|代码|代碼|问题|問題|题|題|段|类|類|方法)"
    r"|^哪[一]?[个個本种種首部款家](?!国家|國家|城市)"
)
_POINTS_AHEAD = re.compile(r"[下以][面下列]|：|:")
_DISCOURSE = re.compile(
    r"(?:上面|前面)(?:的|说|說|提|写|寫|那|这|這|几[个個点點条條])|^\W*(?:请|請)?[把将將对對]?上面|上述"
    r"|以上(?!的?(?:人|学历|學歷|年|岁|歲))|[刚剛]才|之前(?:的|说|說|提|写|寫|给|給)"
    r"|上一[个個条條段次句]|你(?:[刚剛]才?|之前)?(?:说|說|提到|给|給|写|寫|列)(?:的|了|过|過|出|我)"
    r"|我(?:的意思|是说|是說|说的|說的)|怎么(?:算|得|推|来|來)[出来來]*的|报错了|報錯了"
)
_DEFINITE = re.compile(
    r"(?<!的)第[一二三四五六七八九十\d]+[个個点點条條段句种種项項步本部首章题題行列张張](?!世界)"
    r"|(?<!的)最[后後]一?[个個句段点點条條行步]|两者|兩者|前者|[后後]者"
    r"|^哪[一]?[个個本种種首部款].{0,2}最"
    r"|(?<![的之])[前后後][两兩几幾一二三四\d][句段行条條项項个個点點步](?!月|世纪|世紀)"
    r"|^(?:请|請|把|将|將)?(?:题目|題目|结局|結局|主角|标题|標題|开头|開頭|结尾|結尾|语气|語氣|字数|字數|内容|內容|代码|代碼|文章)"
)
_CONTINUATION = re.compile(
    r"^\W*(?:请|請)?(?:继续|繼續|接着|接著|还有|還有|更多|展开|展開|(?:再)?(?:详细|詳細|具体|具體)"
    r"(?:说|說|解释|解釋|讲|講|一|点|點|描述|介绍|介紹)|举(?:个|一个|些|几个)?例|舉(?:個|一個|些)?例"
    r"|重新|重写|重寫|重做|尝试|嘗試|下一[个個步题題])"
    r"|^\W*(?:是的?|不是|不对|不對|没错|沒錯|对|對|好的?|不行|不好|可以|没用|沒用|看不懂|不明白|不懂)"
    r"\W*(?:[，,。！!？?吗嗎]|$)"
    r"|^\W*(?:不|没|沒|还是|還是|已经|已經)[\u3400-\u9fff]{1,5}\W*$"
    r"|^\W*[\u3400-\u9fff]{1,3}[过過]了\W*$|^(?:对|對|是|真)(?:吗|嗎|的吗|的嗎)"
)
_RELATION = (
    r"(?:优势|劣势|優勢|劣勢|优点|缺点|優點|缺點|优缺点|好处|坏处|好處|壞處|区别|區別|不同|影响|影響"
    r"|特点|特點|原因|意义|意義|作用|用途|风险|風險|步骤|步驟|例子|限制|应用|應用|建议|建議|方法|办法)"
)
_ELLIPSIS = re.compile(
    r"^\W*(?:然[后後]|所以|但是?|可是|而且|不过|不過|因为|因為|还|還)"
    r"|^\W*那(?=[么麼我你如要怎为為还還可能应應需该該就是里裡边邊它他，,])"
    r"|^[^。？?！!，,]{1,14}呢\s*(?:[？?]|$)|呢\s*[？?]?\s*$"
    r"|也(?:适用|適用|成立|一样|一樣|行|可以|这样|這樣)(?:吗|嗎|么|麼|吧)|题目也|題目也"
    r"|^\W*(?:只|光|单|單)[\u3400-\u9fff]{1,4}[，,]|[按照][^，。？]{1,8}的\W*$"
    r"|^\W*(?:为什么|為什麼|为何|為何|什么意思|什麼意思|哪些|多少|多久|几个|幾個|几点|幾點|怎么样"
    r"|怎么会|怎麼會)\W*$"
    r"|^\W*(?:怎么|怎麼|如何)(?:去|用|做|办|辦|写|寫|算|弄|走|说|說|读|讀|买|買|解决|实现|實現|操作"
    r"|回事|使用|选|選)\W*$"
    r"|^\W*[\u3400-\u9fff]{0,4}(?:多久|多少钱|多少錢|多长时间|多長時間|多少|多大|多远|多遠)\W*$"
    rf"|^\W*(?:有(?:什么|什麼|哪些|没有)|主要|都有)?{_RELATION}"
    r"(?:[和与與、][\u3400-\u9fff]{2,4})?(?:分别|分別)?(?:是|有)?(?:什么|什麼|哪些)?\W*$"
    rf"|^\W*有(?:什么|什麼|哪些|没有){_RELATION}\W*$"
    r"|^\W*(?:可以|能|能不能|可不可以|需要|要不要|会不会|會不會|应该|應該|是不是).{1,8}[吗嗎？?]\W*$"
    r"|^\W*(?:没有|沒有|如果|要是|万一|萬一).{1,7}(?:怎么办|怎麼辦|的话|的話)"
)
_COMPARATIVE = re.compile(
    r"^\W*(?:请|請)?(?:再(?!见|見|别康|別康|会|會)|更|另外|别的|別的|其他|其它|换一?[个個种種首]|換一?[個種首]|类似|類似|同样|同樣)"
    r"|(?:还有|還有|有没有)(?:别|別|更|其[他它]|吗|嗎)|更[\u3400-\u9fff]{1,4}(?:一点|一點|一些|点|些)"
    r"|(?:短|长|長|简单|簡單|详细|詳細|正式|口语|口語|可爱|可愛|具体|具體|多|少|幽默|简洁|簡潔|通俗"
    r"|委婉|专业|專業|快|慢|便宜)(?:一点|一點|一些|点儿?|點|些)(?:的|吧|吗|嗎)?\W*$"
    r"|也(?:分析|翻译|翻譯|写|寫|解释|解釋|介绍|介紹|列|做|加|来|來|给|給)"
)
_EDIT = re.compile(
    r"^\W*(?:请|請)?(?:改[成为為用]|去掉|删|刪|加[上入个個一]|添加|补充|補充|修改|润色|潤色|翻译成|翻譯成|翻成"
    r"|做成|写成|寫成|换[成个個]|換[成個]|整理成|压缩|壓縮|合并|合併|缩短|縮短|扩写|擴寫|总结一下|總結一下|不要|别用|別用)"
    r"|^\W*(?:请|請)?[把将將].{1,20}(?:改[成为為]|去掉|删|刪|放[到在]|移到|做成|总结成|總結成)"
    r"|^[\u3400-\u9fff]{1,5}改[成为為]"
)
_QUESTION_WORD = r"[谁誰么麼哪何怎几幾吗嗎呢]"
_FRAGMENT = re.compile(
    r"^\W*(?:用|以)[^，。？]{1,14}(?:的?话|的?話|语言|語言|方式|语气|語氣|口吻|文|语|語|表格|格式|版|风格|風格)\W*$"
    rf"|^\W*(?!.*{_QUESTION_WORD})(?!你好|您好|谢|謝|再见|再見|早上|晚上|大家|嗨)"
    r"[\u3400-\u9fffA-Za-z\d+#]{1,5}\W*$"
    r"|^[一二三四五六七八九十百千\d]+[字个個条條段句点點](?:以内|以內|左右|以上|以下)?\W*$"
)


def _bound(query: Query, position: int) -> bool:
    """Whether an earlier clause of the query says enough to hold what a pronoun stands for."""
    before = query.head[:position]
    if _OWN_POSSESSIVE.search(before):
        return True
    before = before[(lead.end() if (lead := _COURTESY.match(before)) else 0) :]
    ends = [found.end() for found in _CLAUSE_END.finditer(before)]
    return bool(ends) and len(_HAN.findall(before[: ends[-1]])) >= _ANTECEDENT_CHARS


def _points_out(kind: Kind, pattern: re.Pattern[str]) -> Rule:
    def find(query: Query) -> tuple[int, int] | None:
        if len(query.text) > _SHORT_CHARS or query.brings_material:
            return None
        for found in pattern.finditer(query.head):
            ahead = _POINTS_AHEAD.search(query.head[max(0, found.start() - 2) :])
            if not (kind == "demonstrative" and ahead) and not _bound(query, found.start()):
                return found.span()
        return None

    return Rule(kind, find)


def _rule(kind: Kind, pattern: re.Pattern[str]) -> Rule:
    def find(query: Query) -> tuple[int, int] | None:
        return None if len(query.text) > _SHORT_CHARS else first_match(pattern, query)

    return Rule(kind, find)


CONTINUATION = _rule("continuation", _CONTINUATION)
PRONOUN = _points_out("pronoun", _PRONOUN)
DEMONSTRATIVE = _points_out("demonstrative", _DEMONSTRATIVE)
DISCOURSE = _rule("discourse", _DISCOURSE)
DEFINITE = _rule("definite", _DEFINITE)
ELLIPSIS = _rule("ellipsis", _ELLIPSIS)
COMPARATIVE = _rule("comparative", _COMPARATIVE)
EDIT = _rule("edit", _EDIT)
FRAGMENT = _rule("fragment", _FRAGMENT)
